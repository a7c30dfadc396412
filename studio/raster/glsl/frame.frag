in vec3 at; in vec3 n; in vec3 paint; in vec3 lit; in vec3 skin; in vec4 seen;
uniform float metal;        // 0 lacquer over its colour, 1 a mirror of its colour
layout(location = 0) out vec4 colour;
layout(location = 1) out vec4 mask;
void main() {
    mask = vec4(0.0, 0.0, 0.0, 1.0);
    vec3 v = normalize(eye_place - at), N = normalize(n);
    float nv = clamp(dot(N, v), 0.0, 1.0), gloss = skin.x;
    vec3 f0 = mix(vec3(0.045), paint, metal);
    vec3 fresnel = f0 + (1.0 - f0) * pow(1.0 - nv, 5.0);
    float clear = clamp(dot(lit, vec3(0.33)) / max(dot(room_level, vec3(0.33)) + 0.15, 1e-3), 0.0, 1.0);
    vec3 found = paint * lit * (1.0 - 0.8 * metal);
    found += room(reflect(-v, N)) * fresnel * clear * (0.4 + 0.6 * gloss);
    float rough = mix(0.5, 0.25, gloss);
    for (int k = 0; k < LAMPS; k++) {
        vec3 h = normalize(v + lamp_way[k]);
        vec3 f = f0 + (1.0 - f0) * pow(1.0 - clamp(dot(v, h), 0.0, 1.0), 5.0);
        found += lamp_light[k] * seen[k] * f * lobe(N, v, lamp_way[k], rough, lamp_radius[k]);
    }
    colour = vec4(found, 1.0);
}
