/**
 * What HAProxy says about its configuration, on standard error of `haproxy -c` and in the master's answer to
 * `reload`, as rows. Texts are HAProxy's own: one line, printable, cut.
 */
import { plain } from "../Cli.ts"

/** One message. */
export interface CheckMessage {
  readonly level: "alert" | "warning" | "notice"
  /** The configuration file and line that it is about, where HAProxy names them. */
  readonly file: string | null
  readonly line: number | null
  readonly text: string
}

/** Characters of one message. */
const longest = 300

/*
 * haproxy -c -f h.cfg (3.0.11, 3.2.26, 3.4.7 alike); a message may go on in lines without a head
 *
 * [NOTICE]   (30768) : haproxy version is 3.0.11-1+deb13u3
 * [NOTICE]   (30768) : path to executable is /usr/sbin/haproxy
 * [WARNING]  (30768) : config : missing timeouts for backend 'b'.
 *    | While not properly invalid, you will certainly encounter various problems
 *    | with such a configuration.
 * [ALERT]    (30768) : config : parsing [h.cfg:10] : unknown keyword 'bogus' in 'frontend' section
 * [ALERT]    (30768) : config : Error(s) found in configuration file : h.cfg
 * [ALERT]    (30768) : config : Fatal errors found in configuration.
 */
const head = /^\[(ALERT|WARNING|NOTICE|INFO|DEBUG|DIAG)\s*\]\s*(?:\d+\/\d+\s*)?\(\d+\) : (.*)$/
const place = /\[([^[\]]{1,255}):(\d{1,9})\]/

/** What HAProxy says at every start and after every check. */
const noise =
  /^(?:haproxy version is |path to executable is |New worker |Initializing new worker|Loading success|Automatically setting global\.maxconn|Configuration file is valid|Former worker .* exited with code 0 )/

/** The messages in a text, in their order, without those that come every time. */
export const parseMessages = (text: string): ReadonlyArray<CheckMessage> => {
  const found: Array<{ level: CheckMessage["level"]; lines: Array<string> }> = []
  for (const line of text.split("\n")) {
    const [, word, first] = head.exec(line) ?? []
    if (word !== undefined) {
      found.push({
        level: word === "ALERT" ? "alert" : word === "WARNING" ? "warning" : "notice",
        lines: [first!]
      })
    } else if (line.trim() !== "") found.at(-1)?.lines.push(line.replace(/^\s*\|\s?/, ""))
  }
  return found.flatMap(({ level, lines }) => {
    const whole = lines.join(" ").replace(/^config : /, "")
    if (noise.test(whole)) return []
    const [, file, line] = place.exec(whole) ?? []
    return [{
      level,
      file: file === undefined ? null : plain(file, 255),
      line: line === undefined ? null : Number(line),
      text: plain(whole, longest)
    }]
  })
}

/** The messages that say why, the most telling first, in one sentence; the bare text when there are none. */
export const reasonIn = (messages: ReadonlyArray<CheckMessage>, text: string): string => {
  const alerts = messages.filter(({ level, text }) =>
    level === "alert" && !/^(?:Fatal errors found|Error\(s\) found|Errors? found)/.test(text)
  )
  const told = (alerts.length > 0 ? alerts : messages.filter(({ level }) => level !== "notice")).slice(0, 3)
  return told.length > 0 ? told.map(({ text }) => text).join("; ") : plain(text, longest) || "it gave no reason"
}
