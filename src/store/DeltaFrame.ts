/**
 * The form of a delta: the changesets of commits that follow one another, as SQLite's sessions make them
 * (sqlite.org/sessionintro.html), each with the numbers of the commits between which it leads.
 *
 * ```
 * "HAPMdlt1"                                   8 bytes
 * { from u64, to u64, length u32, changeset }  any number of times, big-endian
 * ```
 *
 * Guarantees: {@link decode} accepts only a whole frame whose numbers follow one another without a gap. Whether the bytes are
 * the ones that were written is known from their hash, before.
 */

const magic = "HAPMdlt1"
const headSize = 20

/** The rows that the commits after `from`, up to `to`, changed. */
export interface Step {
  readonly from: number
  readonly to: number
  readonly changeset: Uint8Array
}

/** Bytes of a step in a frame. */
export const sizeOf = (step: Step): number => headSize + step.changeset.byteLength

/** One byte string of some steps. */
export const encode = (steps: ReadonlyArray<Step>): Uint8Array => {
  const frame = Buffer.allocUnsafe(steps.reduce((sum, step) => sum + sizeOf(step), magic.length))
  let at = frame.write(magic, "latin1")
  for (const step of steps) {
    at = frame.writeBigUInt64BE(BigInt(step.from), at)
    at = frame.writeBigUInt64BE(BigInt(step.to), at)
    at = frame.writeUInt32BE(step.changeset.byteLength, at)
    frame.set(step.changeset, at)
    at += step.changeset.byteLength
  }
  return frame
}

/** The steps of a frame; null when it is not one. */
export const decode = (bytes: Uint8Array): ReadonlyArray<Step> | null => {
  const frame = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (frame.toString("latin1", 0, magic.length) !== magic) return null
  const steps: Array<Step> = []
  let at = magic.length
  while (at < frame.length) {
    if (frame.length - at < headSize) return null
    const from = Number(frame.readBigUInt64BE(at))
    const to = Number(frame.readBigUInt64BE(at + 8))
    const end = at + headSize + frame.readUInt32BE(at + 16)
    const before = steps.at(-1)
    if (!Number.isSafeInteger(to) || from >= to || end > frame.length || (before !== undefined && before.to !== from)) {
      return null
    }
    steps.push({ from, to, changeset: frame.subarray(at + headSize, end) })
    at = end
  }
  return steps.length === 0 ? null : steps
}
