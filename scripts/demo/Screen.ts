/**
 * What the demo shows while it runs: plain lines for every reader, and on a terminal a line that tells what is being
 * done now, and for how long. Colours only there, and not with NO_COLOR (no-color.org).
 */

export interface Screen {
  readonly line: (text?: string) => void
  /** A step begins. */
  readonly begin: (doing: string) => void
  /** What the step under way does now. */
  readonly note: (text: string) => void
  /** The step is proved. */
  readonly done: (number: number, proved: string, details: ReadonlyArray<string>, ms: number) => void
  /** The step is not. */
  readonly failed: (number: number, doing: string, ms: number) => void
  readonly good: (text: string) => string
  readonly bad: (text: string) => string
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  /** Ends the moving line, when there is one. */
  readonly rest: () => void
}

/** Where the times stand, when the terminal is wide enough; longer lines push them to the right. */
const column = 88
/** Without a terminal, what takes longer than this is said, and again after every `sign` (ms). */
const soon = 2_000
const sign = 10_000
const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"]

/** `870 ms` or `2.4 s`. */
export const duration = (ms: number): string => ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`

export const makeScreen = (
  stream: NodeJS.WriteStream,
  env: Readonly<Record<string, string | undefined>> = process.env
): Screen => {
  const terminal = stream.isTTY === true && env["TERM"] !== "dumb"
  const colours = terminal && (env["NO_COLOR"] ?? "") === ""
  const paint = (code: string) => (text: string) => colours ? `\u001b[${code}m${text}\u001b[0m` : text
  // A terminal that does not know its width says 0.
  const width = terminal && stream.columns > 0 ? stream.columns : column + 14
  const padded = (text: string): string => text.padEnd(Math.min(column, width - 14))
  const good = paint("32")
  const bad = paint("31")
  const bold = paint("1")
  const dim = paint("2")

  let timer: NodeJS.Timeout | undefined
  let frame = 0
  let now = ""
  let began = 0
  const clear = () => {
    if (terminal && now !== "") stream.write("\r\u001b[2K")
  }
  const seconds = () => `${((performance.now() - began) / 1000).toFixed(0)} s`
  const draw = () => {
    if (!terminal || now === "") return
    const text = ` ${frames[frame++ % frames.length]} ${now} (${seconds()})`
    stream.write(`\r\u001b[2K${text.slice(0, width - 1)}`)
  }
  const rest = () => {
    clearTimeout(timer)
    timer = undefined
    clear()
    now = ""
  }
  const line = (text = "") => {
    clear()
    stream.write(`${text}\n`)
    draw()
  }
  /** Without a terminal: says what takes long, once it does. */
  const sayLater = (after: number): NodeJS.Timeout =>
    setTimeout(() => {
      stream.write(`     … ${now} (${seconds()})\n`)
      timer = sayLater(sign)
    }, after)
  const begin = (doing: string) => {
    rest()
    now = doing
    began = performance.now()
    draw()
    timer = terminal ? setInterval(draw, 100) : sayLater(soon)
  }
  const note = (text: string) => {
    now = text
    draw()
    if (terminal) return
    clearTimeout(timer)
    timer = sayLater(soon)
  }
  const done = (number: number, proved: string, details: ReadonlyArray<string>, ms: number) => {
    rest()
    stream.write(`${String(number).padStart(2)} ${good("✓")} ${padded(proved)} ${dim(duration(ms).padStart(7))}\n`)
    for (const detail of details) stream.write(detail === "" ? "\n" : `     ${dim(detail)}\n`)
  }
  const failed = (number: number, doing: string, ms: number) => {
    rest()
    stream.write(`${String(number).padStart(2)} ${bad("✗")} ${padded(doing)} ${dim(duration(ms).padStart(7))}\n`)
  }
  return { line, begin, note, done, failed, good, bad, bold, dim, rest }
}
