in vec3 at; in vec3 n; in vec3 paint; in vec3 lit; in vec3 skin; in vec4 seen; in vec3 own;
uniform vec3 iris;
uniform float iris_angle;   // radians
uniform mat3 to_eye;        // from the world to the eye's own space, which looks along +z
uniform vec2 lid;           // elevations of the upper and lower lid's rim, radians, in the eye's space
uniform vec3 front;         // light in front of the face
layout(location = 0) out vec4 colour;
layout(location = 1) out vec4 mask;
void main() {
    mask = vec4(1.0 / 8.0, 0.0, 0.0, 1.0);
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
