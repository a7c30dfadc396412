// A surface whose light is found at its vertices; what surface.frag does comes before this.
uniform mat4 to_clip;
in vec3 place; in vec3 normal; in vec3 albedo; in vec3 light; in vec3 surface; in vec4 lamps; in vec3 local;
out vec3 found; out vec2 coat;
void main() {
    at = place; n = normal; paint = albedo; lit = light; skin = surface; seen = lamps; own = local;
    shade();
    found = colour.rgb; coat = skin.yz;
    gl_Position = to_clip * vec4(place, 1.0);
}
