/** Waiting for something that nobody announces, with a bound. */

/** Asks until the answer is not undefined, and fails after `limit` milliseconds with what was waited for. */
export const poll = async <A>(
  what: string,
  check: () => Promise<A | undefined> | A | undefined,
  limit = 20_000
): Promise<A> => {
  for (const end = performance.now() + limit; performance.now() < end;) {
    const found = await check()
    if (found !== undefined) return found
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`not within ${limit} ms: ${what}`)
}

/** The same for a condition. A check that throws does not hold yet. */
export const becomes = async (
  what: string,
  check: () => Promise<boolean> | boolean,
  limit?: number
): Promise<void> => {
  let trouble = ""
  await poll(what, async () => {
    try {
      return await check() ? true : undefined
    } catch (error) {
      trouble = String(error)
      return undefined
    }
  }, limit).catch((error: Error) => {
    throw trouble === "" ? error : new Error(`${error.message} (last: ${trouble})`)
  })
}
