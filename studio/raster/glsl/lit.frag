#version 330
// What was lit at its vertices.
in vec3 found; in vec2 coat;    // within the mouth, on the lips
uniform int kind;
uniform int label;
layout(location = 0) out vec4 colour;
layout(location = 1) out vec4 mask;
void main() {
    int what = kind != 0 ? label : coat.x > 0.5 ? 3 : coat.y > 0.5 ? 2 : label;
    mask = vec4(float(what) / 8.0, 0.0, 0.0, 1.0);
    colour = vec4(found, 1.0);
}
