/** What becomes of a write that a guardrail is about: it goes on, and warnings say so, or it needs `force`. */
export const guardrailModes = ["inform", "strict"] as const

/** See {@link guardrailModes}. */
export type GuardrailMode = (typeof guardrailModes)[number]
