/** Contents that the fixtures of the conformance suite answer with: a pixel, a moment of silence, resources. */
import type { ContentBlock } from "@modelcontextprotocol/server"

/** A PNG of one red pixel. */
export const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="

/** Four samples of silence: RIFF header, 16-bit mono at 8 kHz. */
const silence = (() => {
  const samples = 4
  const wav = Buffer.alloc(44 + samples * 2)
  wav.write("RIFF", 0)
  wav.writeUInt32LE(36 + samples * 2, 4)
  wav.write("WAVEfmt ", 8)
  wav.writeUInt32LE(16, 16)
  wav.writeUInt16LE(1, 20)
  wav.writeUInt16LE(1, 22)
  wav.writeUInt32LE(8_000, 24)
  wav.writeUInt32LE(16_000, 28)
  wav.writeUInt16LE(2, 32)
  wav.writeUInt16LE(16, 34)
  wav.write("data", 36)
  wav.writeUInt32LE(samples * 2, 40)
  return wav.toString("base64")
})()

export const text = (words: string): ContentBlock => ({ type: "text", text: words })
export const image: ContentBlock = { type: "image", data: pixel, mimeType: "image/png" }
export const audio: ContentBlock = { type: "audio", data: silence, mimeType: "audio/wav" }

/** A resource inside an answer. */
export const embedded = (uri: string, words: string, mimeType = "text/plain"): ContentBlock => ({
  type: "resource",
  resource: { uri, mimeType, text: words }
})
