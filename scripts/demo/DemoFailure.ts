/**
 * Why the demo cannot go on, in the words of the person who runs it: what happened, and the way out. Anything else
 * that is thrown here is a defect and shows its stack.
 */
export class DemoFailure extends Error {
  /** What to do now; plain lines. */
  readonly hint: string

  constructor(message: string, hint: string, options?: ErrorOptions) {
    super(message, options)
    this.name = "DemoFailure"
    this.hint = hint
  }
}

/** Something that a step had to show was not so. The message says what was expected and what was seen. */
export class NotProved extends Error {
  constructor(message: string) {
    super(message)
    this.name = "NotProved"
  }
}

/** Ends the step unless `fact` holds. `seen` is what was there instead. */
export const prove: (fact: boolean, claim: string, seen?: unknown) => asserts fact = (fact, claim, seen) => {
  if (fact) return
  const shown = typeof seen === "string" ? seen : JSON.stringify(seen)
  throw new NotProved(seen === undefined ? `not so: ${claim}` : `not so: ${claim}; seen: ${shown}`)
}
