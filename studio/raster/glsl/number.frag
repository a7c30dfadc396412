#version 330
flat in float number;
layout(location = 0) out vec4 colour;
void main() { colour = vec4(number, 0.0, 0.0, 1.0); }
