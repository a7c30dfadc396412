#version 330
uniform mat4 to_clip;
in vec3 place; in vec3 normal; in vec3 albedo; in vec3 light; in vec3 surface; in vec4 lamps; in vec3 local;
out vec3 at; out vec3 n; out vec3 paint; out vec3 lit; out vec3 skin; out vec4 seen; out vec3 own;
void main() {
    at = place; n = normal; paint = albedo; lit = light; skin = surface; seen = lamps; own = local;
    gl_Position = to_clip * vec4(place, 1.0);
}
