#version 330
uniform mat4 to_clip;
in vec3 place;
void main() { gl_Position = to_clip * vec4(place, 1.0); }
