/** Why there is no release, and what to do about it: for a person at a terminal. Anything else that is thrown is a defect. */
export class ReleaseFailure extends Error {
  readonly hint: string

  constructor(message: string, hint: string) {
    super(message)
    this.hint = hint
  }
}
