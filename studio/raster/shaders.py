"""The programs that colour a presenter. All light is linear; the figure's own light is baked per point."""

from __future__ import annotations

from typing import Final

LAMPS: Final = 4

_COMMON: Final = """
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
"""

VERTEX: Final = """
#version 330
uniform mat4 to_clip;
in vec3 place; in vec3 normal; in vec3 albedo; in vec3 light; in vec2 surface; in vec4 lamps; in vec3 local;
out vec3 at; out vec3 n; out vec3 paint; out vec3 lit; out vec2 skin; out vec4 seen; out vec3 own;
void main() {
    at = place; n = normal; paint = albedo; lit = light; skin = surface; seen = lamps; own = local;
    gl_Position = to_clip * vec4(place, 1.0);
}
"""

SURFACE: Final = (
    _COMMON
    + """
in vec3 at; in vec3 n; in vec3 paint; in vec3 lit; in vec2 skin; in vec4 seen; in vec3 own;
uniform int kind;           // 0 skin, 1 cloth, 2 wet (teeth, gums, tongue)
uniform float pores;
uniform float freckles;
uniform float weave;
out vec4 colour;
void main() {
    vec3 v = normalize(eye_place - at), N = normalize(n);
    float gloss = skin.x, inside = skin.y;
    vec3 base = paint;
    vec3 found;
    float nv = clamp(dot(N, v), 0.0, 1.0);
    float opened = clamp(skin.y < 0.0 ? 1.0 : 1.0, 0.0, 1.0);
    if (kind == 1) {
        float thread = noise(own * vec3(60.0, 60.0, 60.0)) - 0.5;
        float fold = noise(own * 3.0) - 0.5;
        base *= 1.0 + weave * (0.5 * thread + 0.12 * fold);
        float sheen = pow(1.0 - nv, 3.0);
        found = base * lit + (0.10 + 0.5 * base) * sheen * lit * 0.9;
        for (int k = 0; k < LAMPS; k++)
            found += lamp_light[k] * seen[k] * 0.02 * lobe(N, v, lamp_way[k], 0.6, lamp_radius[k]);
        colour = vec4(found, 1.0);
        return;
    }
    float rough = mix(0.62, 0.22, gloss);
    if (kind == 0) {
        float blotch = noise(own * 5.0) * 0.6 + noise(own * 13.0) * 0.4 - 0.5;
        base *= 1.0 + vec3(0.05, 0.09, 0.10) * blotch * (1.0 - inside);
        if (freckles > 0.0) {
            float spots = smoothstep(0.72, 0.82, noise(own * 42.0)) * smoothstep(0.35, 0.6, noise(own * 7.0 + 3.0));
            float where = exp(-pow((own.y - 6.25) / 0.22, 2.0)) * smoothstep(1.0, 1.25, own.z);
            base = mix(base, base * vec3(0.62, 0.42, 0.32), freckles * spots * where);
        }
        vec3 q = own * 75.0;
        vec3 bump = vec3(noise(q), noise(q + 19.7), noise(q + 41.3)) - 0.5;
        N = normalize(N + pores * (1.0 - inside) * bump);
    }
    found = base * lit;
    float f0 = kind == 0 ? 0.028 : 0.045;
    float fresnel = f0 + (1.0 - f0) * pow(1.0 - nv, 5.0);
    vec3 r = reflect(-v, N);
    float clear = clamp(dot(lit, vec3(0.33)) / max(dot(room_level, vec3(0.33)) + 0.15, 1e-3), 0.0, 1.0);
    found += room(r) * fresnel * (0.25 + 0.75 * gloss) * clear * 0.8;
    for (int k = 0; k < LAMPS; k++) {
        vec3 h = normalize(v + lamp_way[k]);
        float f = f0 + (1.0 - f0) * pow(1.0 - clamp(dot(v, h), 0.0, 1.0), 5.0);
        float spec = 0.75 * lobe(N, v, lamp_way[k], rough, lamp_radius[k]) + 0.25 * lobe(N, v, lamp_way[k], rough * 0.6, lamp_radius[k]);
        found += lamp_light[k] * seen[k] * f * spec * (kind == 2 ? clear : 1.0) * (0.35 + 0.65 * gloss) * 2.0;
    }
    colour = vec4(found, 1.0);
}
"""
)

EYE: Final = (
    _COMMON
    + """
in vec3 at; in vec3 n; in vec3 paint; in vec3 lit; in vec2 skin; in vec4 seen; in vec3 own;
uniform vec3 iris;
uniform float iris_angle;   // radians
uniform mat3 to_eye;        // from the world to the eye's own space, which looks along +z
uniform vec2 lid;           // elevations of the upper and lower lid's rim, radians, in the eye's space
uniform vec3 front;         // light in front of the face
out vec4 colour;
void main() {
    vec3 v = normalize(eye_place - at), d = normalize(own), N = normalize(n);
    vec3 ve = to_eye * v;
    // The iris lies behind the cornea: look past it.
    float angle = acos(clamp(d.z, -1.0, 1.0));
    float inner = clamp(1.0 - angle / iris_angle, 0.0, 1.0);
    vec3 e = normalize(d - vec3(ve.xy / max(ve.z, 0.3), 0.0) * 0.10 * smoothstep(0.0, 0.5, inner));
    float a = acos(clamp(e.z, -1.0, 1.0)) / iris_angle, turn = atan(e.y, e.x);
    vec3 white = paint;
    float veins = smoothstep(0.45, 1.0, angle) * 0.5;
    white = mix(white, white * vec3(0.95, 0.72, 0.68), clamp(veins + 0.8 * smoothstep(0.75, 1.15, angle), 0.0, 0.85));
    float fibre = noise(vec3(turn * 9.0, a * 2.0, 1.0)) * 0.6 + noise(vec3(turn * 26.0, a * 3.0, 5.0)) * 0.4;
    fibre = mix(fibre, noise(vec3(cos(turn) * 6.0, sin(turn) * 6.0, a * 5.0)), 0.35);
    vec3 ring = iris * (0.55 + 0.9 * fibre);
    ring = mix(ring * vec3(1.5, 1.25, 0.9), ring, smoothstep(0.36, 0.62, a));       // a warmer collarette
    ring *= mix(1.0, 0.16, smoothstep(0.74, 0.99, a));                                // the limbus
    float pupil = 1.0 - smoothstep(0.36, 0.42, a);
    ring = mix(ring, vec3(0.004), pupil);
    float within = 1.0 - smoothstep(0.95, 1.06, a);
    // Light that enters the cornea gathers on the far side of the iris.
    vec3 key = to_eye * lamp_way[0];
    float caustic = clamp(0.5 - 0.9 * dot(e.xy / max(sin(iris_angle), 1e-3), normalize(key.xy + 1e-4)) , 0.0, 1.4);
    ring *= 0.6 + 1.25 * caustic * (1.0 - pupil);
    // Lids shade the ball, the upper one most.
    float up = asin(clamp(d.y, -1.0, 1.0));
    float shade = smoothstep(-0.02, 0.34, lid.x - up) * 0.8 + 0.2;
    shade *= smoothstep(-0.05, 0.16, up - lid.y) * 0.45 + 0.55;
    shade *= 1.0 - 0.55 * smoothstep(0.55, 1.1, abs(d.x));
    vec3 found = mix(white * 0.82, ring * 1.5, within) * front * shade;
    // The cornea bulges, so that lamps show in it as small bright windows.
    vec3 bulge = normalize(d - vec3(0.0, 0.0, 0.42) * (1.0 - smoothstep(iris_angle * 0.9, iris_angle * 1.25, angle)));
    vec3 r = reflect(-ve, bulge);
    float wet = 0.0;
    vec3 glint = vec3(0.0);
    for (int k = 0; k < LAMPS; k++) {
        vec3 l = to_eye * lamp_way[k];
        vec3 side = normalize(cross(vec3(0.0, 1.0, 0.0), l)), rise = cross(l, side);
        vec2 off = vec2(dot(r, side), dot(r, rise)) / tan(lamp_radius[k] * 1.15);
        float window = (1.0 - smoothstep(0.82, 1.06, max(abs(off.x), abs(off.y)))) * step(0.0, dot(r, l));
        glint += lamp_light[k] * window * (k == 0 ? 0.9 : 0.30);
    }
    float nv = clamp(dot(bulge, ve), 0.0, 1.0);
    float f = 0.025 + 0.975 * pow(1.0 - nv, 5.0);
    vec3 world = transpose(to_eye) * r;
    found += (room(world) * f * 0.8 + glint * 0.42) * mix(0.15, 1.0, smoothstep(0.0, 0.2, lid.x - up));
    colour = vec4(found, 1.0);
}
"""
)

STRAND_VERTEX: Final = """
#version 330
uniform mat4 to_clip;
uniform mat4 head;          // where the skull went
uniform mat4 body;          // where the shoulders went
uniform vec3 eye_place;
uniform float min_width;    // in dm per dm of distance: nothing is drawn thinner
in vec3 place; in vec3 along; in vec3 albedo; in vec3 light; in vec4 shape;   // width, side, with_head, t
in vec4 lamps;
out vec3 at; out vec3 tangent; out vec3 paint; out vec3 lit; out float across; out float t; out vec4 seen; out float cover;
void main() {
    mat4 move = head * shape.z + body * (1.0 - shape.z);
    vec3 p = (move * vec4(place, 1.0)).xyz;
    tangent = normalize(mat3(move) * along);
    vec3 v = eye_place - p;
    vec3 side = cross(tangent, v);
    side /= max(length(side), 1e-5);
    float thin = min_width * length(v);
    float width = max(shape.x, thin);
    cover = shape.x / width;
    at = p + side * shape.y * width * 0.5;
    paint = albedo; lit = light; across = shape.y; t = shape.w; seen = lamps;
    gl_Position = to_clip * vec4(at, 1.0);
}
"""

STRAND: Final = (
    _COMMON
    + """
in vec3 at; in vec3 tangent; in vec3 paint; in vec3 lit; in float across; in float t; in vec4 seen; in float cover;
uniform float shine;
out vec4 colour;
// Two highlights along the hair, one from its surface, one coloured from within (after Marschner et al. 2003).
float streak(vec3 tangent, vec3 h, float power) {
    float th = dot(tangent, h);
    return pow(max(1.0 - th * th, 0.0), power * 0.5);
}
void main() {
    vec3 v = normalize(eye_place - at), T = normalize(tangent);
    vec3 side = normalize(cross(T, v));
    vec3 n = normalize(v - T * dot(v, T));
    vec3 round_n = normalize(n + side * across * 0.8);
    vec3 found = paint * lit * (0.78 + 0.22 * (1.0 - across * across));
    for (int k = 0; k < LAMPS; k++) {
        vec3 l = lamp_way[k];
        float tl = dot(T, l);
        float wrap = sqrt(max(1.0 - tl * tl, 0.0));
        vec3 brought = lamp_light[k] * seen[k];
        vec3 h = normalize(l + v);
        float facing = 0.35 + 0.65 * clamp(dot(n, l) * 0.5 + 0.5, 0.0, 1.0);
        float first = streak(normalize(T + 0.10 * n), h, 110.0);
        float second = streak(normalize(T - 0.16 * n), h, 26.0);
        float through = pow(clamp(-dot(v, l), 0.0, 1.0), 3.0) * wrap;
        found += brought * shine * (0.035 * first + sqrt(paint) * paint * 1.1 * second * 0.30) * facing;
        found += brought * paint * (0.07 * wrap + 0.55 * shine * through);
    }
    colour = vec4(found, 1.0) * 1.0;
    colour.a = cover;
}
"""
)
