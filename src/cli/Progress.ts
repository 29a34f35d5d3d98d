/**
 * How far a long command is, on standard error: a bar on a terminal, else a line for each new step. Nothing on standard
 * output, which belongs to the answer.
 */

const width = 24

/** Draws progress; `end` leaves a clean line. */
export const makeProgress = (stream: NodeJS.WriteStream) => {
  let shown = ""
  let step = ""
  const bar = (done: number, total: number, message: string) => {
    const share = Math.min(1, Math.max(0, done / total))
    const full = Math.round(share * width)
    const room = Math.max(20, (stream.columns ?? 80) - width - 12)
    const percent = `${Math.floor(share * 100)}`.padStart(3)
    const line = `[${"#".repeat(full)}${"-".repeat(width - full)}] ${percent} % ${message.slice(0, room)}`
    if (line === shown) return
    shown = line
    stream.write(`\r\u001b[K${line}`)
  }
  const plain = (message: string) => {
    // Another number is no new step.
    const words = message.replace(/\d+/g, "")
    if (words === step) return
    step = words
    stream.write(`haproxy-mcp: ${message}\n`)
  }
  return {
    report: (done: number, total: number, message: string) => stream.isTTY ? bar(done, total, message) : plain(message),
    end: () => {
      if (shown !== "") stream.write("\r\u001b[K")
      shown = ""
    }
  }
}
