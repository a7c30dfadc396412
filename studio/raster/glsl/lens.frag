// Clear glass: nothing but what it reflects, added to what is seen through it.
in vec3 at; in vec3 n;
layout(location = 0) out vec4 colour;
layout(location = 1) out vec4 mask;
const float COATED = 0.006; // of both its sides
void main() {
    mask = vec4(0.0);
    vec3 v = normalize(eye_place - at), N = normalize(n);
    N *= sign(dot(N, v));
    vec3 r = reflect(-v, N);
    float fresnel = COATED + 0.5 * pow(1.0 - clamp(dot(N, v), 0.0, 1.0), 5.0);
    vec3 found = room(r) * fresnel;
    for (int k = 0; k < LAMPS; k++) {
        vec3 l = lamp_way[k];
        vec3 side = normalize(cross(vec3(0.0, 1.0, 0.0), l)), rise = cross(l, side);
        vec2 off = vec2(dot(r, side), dot(r, rise)) / tan(lamp_radius[k]);
        float window = (1.0 - smoothstep(0.75, 1.15, max(abs(off.x), abs(off.y)))) * step(0.0, dot(r, l));
        // As bright as a disc that sheds that much light.
        found += lamp_light[k] / (3.14159 * pow(sin(lamp_radius[k]), 2.0)) * window * fresnel;
    }
    colour = vec4(found, 0.0);
}
