/** Help as text for a terminal of any width from 80 columns: one flag a paragraph, wrapped, headings in bold. */
import type * as HelpDoc from "effect/cli/HelpDoc"
import * as Option from "effect/Option"

const width = 100

/** Colours only for a terminal whose user did not turn them off (no-color.org). */
export const wantsColours = (stream: { readonly isTTY?: boolean }): boolean =>
  stream.isTTY === true && (process.env["NO_COLOR"] ?? "") === "" && process.env["TERM"] !== "dumb"

/** Breaks a text at spaces into lines that begin with `indent` and end within `width`. */
const wrap = (text: string, indent: string): string => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    if (line !== "" && indent.length + line.length + 1 + word.length > width) {
      lines.push(indent + line)
      line = word
    } else line = line === "" ? word : `${line} ${word}`
  }
  return [...lines, indent + line].join("\n")
}

const flagText = (flag: HelpDoc.FlagDoc): string => {
  const names = [`--${flag.name}`, ...flag.aliases].join(", ")
  const head = `  ${names}${flag.type === "boolean" ? "" : ` ${flag.type}`}`
  const words = Option.getOrElse(flag.description, () => "")
  return words === "" ? head : `${head}\n${wrap(words, "      ")}`
}

/** The whole help of one command. */
export const helpText = (doc: HelpDoc.HelpDoc, colours: boolean): string => {
  const heading = (text: string) => colours ? `\u001b[1m${text}\u001b[0m` : text
  const sections: Array<string> = [wrap(doc.description, ""), `${heading("Usage")}\n  ${doc.usage}`]
  const groups = doc.subcommands ?? []
  const column = Math.max(0, ...groups.flatMap((group) => group.commands.map((command) => command.name.length))) + 4
  for (const { commands, group } of groups) {
    const lines = commands.map((command) => `  ${command.name.padEnd(column)}${command.shortDescription ?? ""}`)
    sections.push(`${heading(group ?? "Commands")}\n${lines.join("\n")}`)
  }
  const args = doc.args ?? []
  if (args.length > 0) {
    const words = (arg: HelpDoc.ArgDoc) => Option.getOrElse(arg.description, () => "")
    sections.push(`${heading("Arguments")}\n${args.map((arg) => `  ${arg.name}\n      ${words(arg)}`).join("\n")}`)
  }
  if (doc.flags.length > 0) sections.push(`${heading("Flags")}\n${doc.flags.map(flagText).join("\n")}`)
  const everywhere = doc.globalFlags ?? []
  if (everywhere.length > 0) {
    sections.push(`${heading("Flags of every command")}\n${everywhere.map(flagText).join("\n")}`)
  }
  const examples = (doc.examples ?? []).map((example) =>
    `${example.description === undefined ? "" : `  # ${example.description}\n`}  ${example.command}`
  )
  if (examples.length > 0) sections.push(`${heading("Examples")}\n${examples.join("\n")}`)
  return `${sections.join("\n\n")}\n`
}
