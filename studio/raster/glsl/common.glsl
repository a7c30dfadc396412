#version 330
const int LAMPS = 4;
uniform vec3 eye_place;
uniform vec3 lamp_way[LAMPS];
uniform float lamp_radius[LAMPS];
uniform vec3 lamp_light[LAMPS];
uniform vec3 room_above, room_level, room_below;

float hash(vec3 p) {
    p = fract(p * 0.3183099 + vec3(0.71, 0.113, 0.419));
    p *= 17.0;
    return fract(p.x * p.y * p.z * (p.x + p.y + p.z));
}
float noise(vec3 x) {
    vec3 i = floor(x), f = fract(x);
    f = f * f * (3.0 - 2.0 * f);
    return mix(mix(mix(hash(i), hash(i + vec3(1,0,0)), f.x), mix(hash(i + vec3(0,1,0)), hash(i + vec3(1,1,0)), f.x), f.y),
               mix(mix(hash(i + vec3(0,0,1)), hash(i + vec3(1,0,1)), f.x), mix(hash(i + vec3(0,1,1)), hash(i + vec3(1,1,1)), f.x), f.y), f.z);
}
vec3 room(vec3 way) {
    float up = clamp(way.y, 0.0, 1.0), down = clamp(-way.y, 0.0, 1.0);
    return room_level + up * (room_above - room_level) + down * (room_below - room_level);
}
// Trowbridge-Reitz with Smith's masking, a lamp's width added to the roughness (Karis 2013).
float lobe(vec3 n, vec3 v, vec3 l, float rough, float radius) {
    float a = clamp(rough * rough + 0.35 * radius, 0.0, 1.0);
    vec3 h = normalize(v + l);
    float nh = clamp(dot(n, h), 0.0, 1.0), nv = clamp(dot(n, v), 1e-3, 1.0), nl = clamp(dot(n, l), 0.0, 1.0);
    float a2 = a * a, d = nh * nh * (a2 - 1.0) + 1.0;
    float k = a / 2.0;
    float g = 1.0 / ((nv * (1.0 - k) + k) * (nl * (1.0 - k) + k) + 1e-4);
    return a2 / (3.14159 * d * d) * g * 0.25 * nl;
}
