/** As much of RFC 6455 as short text messages need, for both sides. */
import { createHash } from "node:crypto"

/** Answers `Sec-WebSocket-Key` (section 4.2.2). */
export const acceptOf = (key: string): string =>
  createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")

/** One whole text message of at most 125 bytes (section 5.2). Clients mask, servers do not. */
export const frame = (text: string, masked: boolean): Buffer => {
  const payload = Buffer.from(text)
  if (payload.length > 125) throw new Error("longer than these frames")
  const head = Buffer.from([0x81, payload.length | (masked ? 0x80 : 0)])
  // A mask of zeros changes nothing, which is all a test needs.
  return Buffer.concat(masked ? [head, Buffer.alloc(4), payload] : [head, payload])
}

/** Takes bytes as they come and tells each whole message. */
export const framesIn = (message: (text: string) => void) => {
  let rest = Buffer.alloc(0)
  return (part: Buffer): void => {
    rest = Buffer.concat([rest, part])
    for (;;) {
      if (rest.length < 2) return
      const masked = (rest[1]! & 0x80) !== 0
      const size = rest[1]! & 0x7f
      const from = masked ? 6 : 2
      if (rest.length < from + size) return
      const payload = Buffer.from(rest.subarray(from, from + size))
      if (masked) payload.forEach((byte, index) => payload[index] = byte ^ rest[2 + index % 4]!)
      const opcode = rest[0]! & 0x0f
      rest = rest.subarray(from + size)
      if (opcode !== 1) throw new Error(`a frame of another kind: ${opcode}`)
      message(payload.toString())
    }
  }
}
