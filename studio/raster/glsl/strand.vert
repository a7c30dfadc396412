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
