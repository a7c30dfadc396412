uniform float shine;
uniform int label;
#ifdef AT_VERTICES
vec3 at, tangent, paint, lit; vec4 seen, colour, mask;
const float across = 0.577;   // what a hair's round shape takes of its light, on the whole
#else
in vec3 at; in vec3 tangent; in vec3 paint; in vec3 lit; in float across; in float t; in vec4 seen; in float cover;
layout(location = 0) out vec4 colour;
layout(location = 1) out vec4 mask;
#endif
// Two highlights along the hair, one from its surface, one coloured from within (after Marschner et al. 2003).
float streak(vec3 tangent, vec3 h, float power) {
    float th = dot(tangent, h);
    return pow(max(1.0 - th * th, 0.0), power * 0.5);
}
void shade() {
    mask = vec4(float(label) / 8.0, 0.0, 0.0, 1.0);
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
    colour = vec4(found, 1.0);
}
#ifndef AT_VERTICES
void main() { shade(); }
#endif
