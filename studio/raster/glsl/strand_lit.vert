// A strand whose light is found at its vertices; what strand.frag does comes before this.
uniform mat4 to_clip, head, body;
uniform float min_width;
in vec3 place; in vec3 along; in vec3 albedo; in vec3 light; in vec4 shape; in vec4 lamps;
out vec3 found; out vec2 coat;
void main() {
    mat4 move = head * shape.z + body * (1.0 - shape.z);
    vec3 p = (move * vec4(place, 1.0)).xyz;
    tangent = normalize(mat3(move) * along);
    vec3 v = eye_place - p;
    vec3 side = cross(tangent, v);
    side /= max(length(side), 1e-5);
    at = p; paint = albedo; lit = light; seen = lamps;
    shade();
    found = colour.rgb; coat = vec2(0.0);
    gl_Position = to_clip * vec4(p + side * shape.y * max(shape.x, min_width * length(v)) * 0.5, 1.0);
}
