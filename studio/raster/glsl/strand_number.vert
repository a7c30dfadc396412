#version 330
// As strand.vert, but all that a hair gives is its number.
uniform mat4 to_clip, head, body;
uniform vec3 eye_place;
uniform float min_width;
uniform int points;
in vec3 place; in vec3 along; in vec4 shape;
flat out float number;
void main() {
    mat4 move = head * shape.z + body * (1.0 - shape.z);
    vec3 p = (move * vec4(place, 1.0)).xyz, v = eye_place - p;
    vec3 side = cross(mat3(move) * along, v);
    side /= max(length(side), 1e-5);
    number = float(gl_VertexID / (2 * points) + 1);
    gl_Position = to_clip * vec4(p + side * shape.y * max(shape.x, min_width * length(v)) * 0.5, 1.0);
}
