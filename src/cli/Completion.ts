/**
 * Shell completion: `haproxy-mcp completion bash|zsh|fish`, and `--completions` as effect/cli has it, with the same
 * scripts. Beside commands and flags they know what a setting takes: words to choose from, files, folders.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Completions from "effect/cli/Completions"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { flagName, rows } from "../Config.ts"

/** What a setting takes, by its metavar in help: `on|off`, `FILE`, `FOLDER`. */
const typeOf = (metavar: string): Completions.FlagType | null =>
  /^[a-z0-9]+(?:\|[a-z0-9]+)+$/i.test(metavar)
    ? { _tag: "Choice", values: metavar.split("|") }
    : metavar === "FILE"
    ? { _tag: "Path", pathType: "file" }
    : metavar === "FOLDER"
    ? { _tag: "Path", pathType: "directory" }
    : null

const types = new Map(rows.map((row) => [flagName(row.name), typeOf(row.metavar)]))

const withTypes = (command: Completions.CommandDescriptor): Completions.CommandDescriptor => ({
  ...command,
  flags: command.flags.map((flag) => ({ ...flag, type: types.get(flag.name) ?? flag.type })),
  subcommands: command.subcommands.map(withTypes)
})

/** Where each shell looks for the script. */
const places: Readonly<Record<Completions.Shell, string>> = {
  bash: "haproxy-mcp completion bash > /etc/bash_completion.d/haproxy-mcp",
  zsh: "haproxy-mcp completion zsh > /usr/local/share/zsh/site-functions/_haproxy-mcp",
  fish: "haproxy-mcp completion fish > ~/.config/fish/completions/haproxy-mcp.fish",
  powershell: "haproxy-mcp --completions powershell >> $PROFILE"
}

const scriptOf = (root: Command.Command.Any, shell: Completions.Shell): string => {
  const script = Completions.generate(root.name, shell, withTypes(Completions.fromCommand(root)))
  return `${script.replace(/^(#\s+)haproxy-mcp --completions .*$/m, `$1${places[shell]}`).trimEnd()}\n`
}

const print = (root: Command.Command.Any, shell: Completions.Shell) =>
  Effect.sync(() => {
    process.stdout.write(scriptOf(root, shell))
  })

/** `--completions SHELL`. */
export const completionsFlag: GlobalFlag.Action<Option.Option<Completions.Shell>> = GlobalFlag.Action({
  flag: GlobalFlag.Completions.flag,
  run: (shell, { command }) => Option.isNone(shell) ? Effect.void : print(command, shell.value)
})

/** `root` is the whole program, which this command is part of. */
export const completionCommand = (root: () => Command.Command.Any) =>
  Command.make(
    "completion",
    {
      shell: Argument.Literals("shell", ["bash", "zsh", "fish"]).pipe(
        Argument.withDescription("The shell to complete in")
      )
    },
    ({ shell }) => Effect.suspend(() => print(root(), shell))
  ).pipe(
    Command.withDescription("Prints the script that completes commands, flags and their values in your shell."),
    Command.withShortDescription("Print the completion script of a shell"),
    Command.withExamples([
      { command: "source <(haproxy-mcp completion bash)", description: "For this shell" },
      { command: places.bash, description: "For everybody's bash" },
      { command: places.zsh, description: "For everybody's zsh" },
      { command: places.fish, description: "For your fish" }
    ])
  )
