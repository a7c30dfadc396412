#version 330
// Brings four pixels down to one, develops them (as stage.develop does) and sets them before a backdrop.
const float BRIGHTEST = 8.0;
uniform sampler2D colours;
uniform sampler2D masks;
uniform sampler2D backdrop;
uniform float exposure;
layout(location = 0) out vec4 picture;   // display colours, and the mask
layout(location = 1) out vec4 layer;     // linear light times alpha, and alpha
void main() {
    ivec2 at = ivec2(gl_FragCoord.xy), fine = 2 * at;
    vec4 sum = vec4(0.0);
    for (int k = 0; k < 4; k++) sum += min(texelFetch(colours, fine + ivec2(k & 1, k >> 1), 0), BRIGHTEST);
    layer = sum / 4.0;
    float alpha = clamp(layer.a, 0.0, 1.0);
    vec3 x = layer.rgb / max(alpha, 1e-3) * exposure;
    x = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14);
    vec3 shown = pow(clamp(x, 0.0, 1.0), vec3(1.0 / 2.2));
    // Rows are upside down here: of the four the lower right one is what stage.Stage.labels takes.
    picture = vec4(mix(texelFetch(backdrop, at, 0).rgb, shown, alpha), texelFetch(masks, fine + ivec2(1, 0), 0).r);
}
