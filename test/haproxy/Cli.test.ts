/** The wire without a wire: what is written, and how bytes become answers at any chunking. */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import {
  AnswerReader,
  encode,
  type Framing,
  plain,
  readOpening,
  refusal,
  withoutEchoes
} from "../../src/haproxy/Cli.ts"
import type { Command } from "../../src/haproxy/Command.ts"

const limits = { maxLine: 200, maxPayload: 400 }
const command = (words: ReadonlyArray<string>, payload?: ReadonlyArray<string>): Command<void> => ({
  words,
  ...(payload === undefined ? {} : { payload }),
  parse: () => Result.void
})

describe("encode", () => {
  it("joins words with single spaces and ends the line", () => {
    assert.strictEqual(
      encode(command(["add", "map", "/etc/haproxy/domains.map", ".example.com", "pool_1"]), limits),
      "add map /etc/haproxy/domains.map .example.com pool_1\n"
    )
  })

  it("throws on every byte that HAProxy treats, and on what is not ASCII", () => {
    const allowed: Array<string> = []
    for (let code = 0; code < 256; code++) {
      const text = `a${String.fromCharCode(code)}b`
      try {
        encode(command(["x", text]), limits)
        allowed.push(String.fromCharCode(code))
      } catch { /* refused, as it should be */ }
    }
    assert.strictEqual(
      allowed.join(""),
      "!%&()*+,-./0123456789:=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~"
    )
    for (const words of [[], [""], ["a", ""], ["a b"], Array.from({ length: 65 }, () => "a")]) {
      assert.throws(() => encode(command(words), limits))
    }
  })

  it("keeps to the limits", () => {
    assert.strictEqual(encode(command(["x".repeat(200)]), limits).length, 201)
    assert.throws(() => encode(command(["x".repeat(201)]), limits))
    assert.throws(() => encode(command(["add"], ["y".repeat(391)]), limits))
    assert.isAtMost(encode(command(["add"], ["y".repeat(390)]), limits).length, 420)
  })

  it("frames a payload with a terminator of at most 7 characters that is none of its lines", () => {
    const seen = new Set<string>()
    for (let i = 0; i < 50; i++) {
      const match = /^add map @1 \/m <<(\w{1,7})\na 1\nb 2 3\n(\w+)\n$/.exec(
        encode(command(["add", "map", "@1", "/m"], ["a 1", "b 2 3"]), limits)
      )
      assert.isNotNull(match)
      assert.strictEqual(match![1], match![2])
      seen.add(match![1]!)
    }
    assert.isAbove(seen.size, 40)
    for (const line of ["", " ", "a ", "a\nb", "a\r", "a;b", "a\tb", "é", "a\\", "a #"]) {
      assert.throws(() => encode(command(["add"], [line]), limits), undefined, undefined, JSON.stringify(line))
    }
    assert.throws(() => encode(command(["add"], []), limits))
  })
})

describe("AnswerReader", () => {
  const answers = [
    "",
    "one line\n",
    "",
    "",
    "two\nlines\n",
    "\u{1F600} wide é\n",
    "x".repeat(5_000) + "\n",
    "> quoted\n",
    ""
  ]
  const streams: ReadonlyArray<readonly [Framing, string]> = [
    ["quiet", answers.map((answer) => `${answer}\n`).join("")],
    ["prompt", answers.map((answer) => `${answer}\n> `).join("")]
  ]

  for (const [framing, stream] of streams) {
    it(`splits a ${framing} stream alike at every chunking`, () => {
      const bytes = Buffer.from(stream)
      const read = (chunks: Iterable<Buffer>) => {
        const reader = new AnswerReader(framing)
        const found: Array<string> = []
        for (const chunk of chunks) reader.push(chunk, (answer) => found.push(answer))
        assert.isFalse(reader.pending)
        return found
      }
      const cut = function*(sizes: (index: number) => number) {
        for (let from = 0, index = 0; from < bytes.length; index++) {
          const to = Math.min(bytes.length, from + sizes(index))
          yield bytes.subarray(from, to)
          from = to
        }
      }
      assert.deepStrictEqual(read([bytes]), answers)
      for (let size = 1; size < 80; size++) assert.deepStrictEqual(read(cut(() => size)), answers, `size ${size}`)
      for (let seed = 1; seed < 200; seed++) {
        let state = seed
        const next = () => state = state * 48_271 % 2_147_483_647
        assert.deepStrictEqual(read(cut(() => 1 + next() % 7)), answers, `seed ${seed}`)
      }
      // Two pieces, cut everywhere.
      for (let at = 1; at < bytes.length; at++) {
        assert.deepStrictEqual(read([bytes.subarray(0, at), bytes.subarray(at)]), answers, `cut at ${at}`)
      }
    })
  }

  it("says whether an answer is unfinished", () => {
    const reader = new AnswerReader("quiet")
    reader.push(Buffer.from("half"), () => assert.fail("no answer yet"))
    assert.isTrue(reader.pending)
    reader.push(Buffer.from("\n\n"), (answer) => assert.strictEqual(answer, "half\n"))
    assert.isFalse(reader.pending)
  })
})

describe("opening", () => {
  it("tells the framing from the complete answer only", () => {
    for (const [framing, text] of [["quiet", "\n3.4.7-1\n\n"], ["prompt", "\n> 3.0.11-1+deb13u3\n\n> "]] as const) {
      for (let at = 0; at < text.length; at++) {
        assert.strictEqual(readOpening(text.slice(0, at)), "more", text.slice(0, at))
      }
      assert.strictEqual(readOpening(text), framing)
    }
    for (
      const text of ["HTTP/1.1 400 Bad request", "\nUnknown command: 'show'", "\n> Permission denied", "x", "\n\n"]
    ) {
      assert.strictEqual(readOpening(text), "strange", text)
    }
  })
})

describe("texts of HAProxy", () => {
  it("lose control characters and length, and nothing else", () => {
    assert.strictEqual(plain("No such server.\n", 500), "No such server.")
    assert.strictEqual(plain("a\u0000\u001b[31mb\u0085c\u2028d", 500), "a [31mb c d")
    assert.strictEqual(refusal("y".repeat(900)).text.length, 500)
    assert.strictEqual(refusal("\n").text, "HAProxy gave no reason")
  })

  it("are taken only with all echoes of a payload", () => {
    assert.strictEqual(withoutEchoes("+ + + done\n", 3), "done\n")
    assert.strictEqual(withoutEchoes("+ + done\n", 3), null)
    assert.strictEqual(withoutEchoes("+ value\n", 0), "+ value\n")
  })
})
