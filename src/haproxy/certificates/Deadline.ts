/** A caller's deadline as the timeout of an exchange. */

/** `deadline` in milliseconds since 1970. One that has passed leaves a millisecond: the exchange then says so. */
export const before = (deadline: number): { readonly timeout: number } => ({
  timeout: Math.max(1, deadline - Date.now())
})

/** Milliseconds that taking something back may have when the deadline has passed. */
const grace = 2_000

/** The deadline of what takes a change back: never in the past, or a change could stay half done. */
export const after = (deadline: number): number => Math.max(deadline, Date.now() + grace)
