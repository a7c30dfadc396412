#ifdef AT_VERTICES
vec3 at, n, paint, lit, skin, own; vec4 seen, colour, mask;
#else
in vec3 at; in vec3 n; in vec3 paint; in vec3 lit; in vec3 skin; in vec4 seen; in vec3 own;
layout(location = 0) out vec4 colour;
layout(location = 1) out vec4 mask;
#endif
uniform int kind;           // 0 skin, 1 cloth, 2 wet (teeth, gums, tongue)
uniform float pores;
uniform float freckles;
uniform float eyes_height;
uniform float weave;
uniform int label;          // what the masks call this surface; of skin: face
void shade() {
    vec3 v = normalize(eye_place - at), N = normalize(n);
    float gloss = skin.x, inside = skin.y;
    int what = label;
    if (kind == 0 && inside > 0.5) what = 3;
    else if (kind == 0 && skin.z > 0.5) what = 2;
    mask = vec4(float(what) / 8.0, 0.0, 0.0, 1.0);
    vec3 base = paint;
    vec3 found;
    float nv = clamp(dot(N, v), 0.0, 1.0);
    if (kind == 1) {
        float thread = noise(own * vec3(60.0, 60.0, 60.0)) - 0.5;
        float fold = noise(own * 3.0) - 0.5;
        base *= 1.0 + weave * (0.5 * thread + 0.12 * fold);
        float sheen = pow(1.0 - nv, 3.0);
        found = base * lit + (0.10 + 0.5 * base) * sheen * lit * 0.9;
        for (int k = 0; k < LAMPS; k++)
            found += lamp_light[k] * seen[k] * 0.02 * lobe(N, v, lamp_way[k], 0.6, lamp_radius[k]);
        colour = vec4(found, 1.0);
        return;
    }
    float rough = mix(0.62, 0.22, gloss);
    if (kind == 0) {
        float blotch = noise(own * 5.0) * 0.6 + noise(own * 13.0) * 0.4 - 0.5;
        base *= 1.0 + vec3(0.05, 0.09, 0.10) * blotch * (1.0 - inside);
        if (freckles > 0.0) {
            float spots = smoothstep(0.72, 0.82, noise(own * 42.0)) * smoothstep(0.35, 0.6, noise(own * 7.0 + 3.0));
            float where = exp(-pow((own.y - eyes_height + 0.35) / 0.22, 2.0)) * smoothstep(1.0, 1.25, own.z);
            base = mix(base, base * vec3(0.62, 0.42, 0.32), freckles * spots * where);
        }
#ifndef AT_VERTICES
        vec3 q = own * 75.0;
        vec3 bump = vec3(noise(q), noise(q + 19.7), noise(q + 41.3)) - 0.5;
        N = normalize(N + pores * (1.0 - inside) * bump);
#endif
    }
    found = base * lit;
    float f0 = kind == 0 ? 0.028 : 0.045;
    float fresnel = f0 + (1.0 - f0) * pow(1.0 - nv, 5.0);
    vec3 r = reflect(-v, N);
    float clear = clamp(dot(lit, vec3(0.33)) / max(dot(room_level, vec3(0.33)) + 0.15, 1e-3), 0.0, 1.0);
    found += room(r) * fresnel * (0.25 + 0.75 * gloss) * clear * 0.8;
    for (int k = 0; k < LAMPS; k++) {
        vec3 h = normalize(v + lamp_way[k]);
        float f = f0 + (1.0 - f0) * pow(1.0 - clamp(dot(v, h), 0.0, 1.0), 5.0);
        float spec = 0.75 * lobe(N, v, lamp_way[k], rough, lamp_radius[k]) + 0.25 * lobe(N, v, lamp_way[k], rough * 0.6, lamp_radius[k]);
        found += lamp_light[k] * seen[k] * f * spec * (kind == 2 ? clear : 1.0) * (0.35 + 0.65 * gloss) * 2.0;
    }
    colour = vec4(found, 1.0);
}
#ifndef AT_VERTICES
void main() { shade(); }
#endif
