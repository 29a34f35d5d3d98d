/**
 * One worker process of the fake: its pid and start, its maps, backends and servers, and what it answers.
 *
 * A worker is born from the files and the configuration as they are at that moment, as a real one is; after a reload
 * the old one goes on for the connections it has, stopping.
 */
import { type Answer, dump, message, type SeverityOutput, silence } from "./Answer.ts"
import { Certificates } from "./Certificates.ts"
import type { Parsed } from "./CommandLine.ts"
import { type CrtListContent, CrtLists } from "./CrtLists.ts"
import { showListeners } from "./Descriptors.ts"
import { commandOf, helpLines, helpTrailer } from "./HelpTable.ts"
import { processInfo } from "./Info.ts"
import type { Line, Traits } from "./Line.ts"
import { Maps } from "./Maps.ts"
import type { ServerConfig } from "./Server.ts"
import { Servers } from "./Servers.ts"
import { showStat } from "./Stats.ts"
import { usage } from "./Usage.ts"

/** What a worker is started from. */
export interface ProcessConfig {
  readonly line: Line
  readonly traits: Traits
  readonly pid: number
  readonly configPath: string
  /** As `show cli sockets` prints it. */
  readonly socketNames: () => ReadonlyArray<string>
  readonly frontends: ReadonlyArray<string>
  readonly backends: Iterable<readonly [string, ReadonlyArray<ServerConfig>]>
  readonly files: Iterable<readonly [string, string]>
  readonly certificates: Iterable<readonly [string, string]>
  readonly crtLists: Iterable<readonly [string, CrtListContent]>
  /** Binds without `strict-sni` by their list. */
  readonly looseBinds: Readonly<Record<string, string>>
  readonly now: () => number
  readonly addressDelay: number
  /** Takes commands that HAProxy knows and this fake does not. */
  readonly unimitated: Array<string>
}

/** A connection, as `show sess` lists it and as commands may change it. */
export interface Session {
  readonly number: number
  /** `unix_stream` or `tcpv4`. */
  readonly protocol: string
  /** `unix:1` or `127.0.0.1:40000`. */
  readonly source: string
  /** Milliseconds. */
  readonly since: number
  severity: SeverityOutput
}

/** One worker. */
export class Process {
  readonly pid: number
  readonly started: number
  readonly maps: Maps
  readonly servers: Servers
  readonly certificates: Certificates
  readonly crtLists: CrtLists
  readonly line: Line
  readonly traits: Traits
  readonly sessions = new Set<Session>()
  stopping = false
  private readonly config: ProcessConfig
  private connections = 0

  constructor(config: ProcessConfig) {
    this.config = config
    this.pid = config.pid
    this.line = config.line
    this.traits = config.traits
    this.started = config.now()
    this.maps = new Maps(config.traits, config.configPath, config.files)
    this.certificates = new Certificates(config.traits, config.certificates, () => this.crtLists)
    this.crtLists = new CrtLists(config.traits, config.crtLists, this.certificates, config.looseBinds)
    this.servers = new Servers(
      config.traits,
      2 + config.frontends.length,
      config.backends,
      config.now,
      config.addressDelay
    )
  }

  /** A connection was opened. */
  join(session: Session): void {
    this.connections++
    this.sessions.add(session)
  }

  /** Runs one command. `prompt` and `quit` belong to the connection and never come here. */
  run(command: Parsed, session: Session): Answer {
    const { words } = command
    if (words.length === 0) return silence
    const { maxWords } = this.traits
    if (maxWords !== null && words.length > maxWords) {
      return message(3, `Too many arguments. Commands must have at most ${maxWords} arguments.`)
    }
    return this.runMap(command) ?? this.runTls(command) ?? this.runServer(words) ?? this.runOther(words, session) ??
      this.refuse(words)
  }

  private runMap(command: Parsed): Answer | undefined {
    const { words } = command
    if (words[1] !== "map") return undefined
    switch (words[0]) {
      case "show":
        return this.maps.show(words)
      case "get":
        return this.maps.get(words)
      case "add":
        return this.maps.add(command)
      case "set":
        return this.maps.set(words)
      case "del":
        return this.maps.delete(words)
      case "clear":
        return this.maps.clear(words)
      case "prepare":
        return this.maps.prepare(words)
      case "commit":
        return this.maps.commit(words)
      default:
        return undefined
    }
  }

  private runTls(command: Parsed): Answer | undefined {
    const { words } = command
    if (words[1] !== "ssl") return undefined
    switch (`${words[0]} ${words[2]}`) {
      case "show cert":
        return this.certificates.show(words)
      case "new cert":
        return this.certificates.create(words)
      case "set cert":
        return this.certificates.set(command)
      case "commit cert":
        return this.certificates.commit(words)
      case "abort cert":
        return this.certificates.abort(words)
      case "del cert":
        return this.certificates.delete(words)
      case "show crt-list":
        return this.crtLists.show(words)
      case "add crt-list":
        return this.crtLists.add(command)
      case "del crt-list":
        return this.crtLists.delete(words)
      default:
        return undefined
    }
  }

  private runServer(words: ReadonlyArray<string>): Answer | undefined {
    switch (`${words[0]} ${words[1]}`) {
      case "set server":
        return this.servers.set(words)
      case "set weight":
        return this.servers.setWeight(words)
      case "get weight":
        return this.servers.getWeight(words)
      case "enable server":
        return this.servers.enable(words, true)
      case "disable server":
        return this.servers.enable(words, false)
      case "enable health":
      case "disable health":
        return this.servers.check(words)
      case "show backend":
        return this.servers.showBackends()
      case "show servers":
        return words[2] === "state" ? this.servers.show(words) : undefined
      case "show stat":
        return showStat(words, this.line, this.config.frontends, this.servers, this.config.now())
      default:
        return undefined
    }
  }

  private runOther(words: ReadonlyArray<string>, session: Session): Answer | undefined {
    if (words[0] === "help" && words.length === 1) {
      const lines = [...helpLines(this.line), ...helpTrailer(this.line)]
      return message(6, `The following commands are valid at this level:\n  ${lines.join("\n  ")}`)
    }
    switch (`${words[0]} ${words[1]}`) {
      case "show version":
        return message(6, this.traits.version)
      case "show info":
        return words.length === 2 ? dump(this.info()) : undefined
      case "show fd":
        return words.length === 3 && words[2] === "l"
          ? dump(showListeners(this.line, this.config.frontends, this.config.socketNames()))
          : undefined
      case "show sess":
        return words.length === 2 ? dump(this.showSessions()) : undefined
      case "set severity-output":
        return setSeverity(words[2], session)
      case "show cli":
        if (words[2] === "level") return message(6, "admin")
        return words[2] === "sockets"
          ? dump(`# socket lvl processes\n${this.config.socketNames().map((name) => `${name} admin all\n`).join("")}`)
          : undefined
      default:
        return undefined
    }
  }

  private info(): string {
    return processInfo(this.line, {
      version: this.traits.version,
      releaseDate: this.traits.releaseDate,
      pid: this.pid,
      started: this.started,
      now: this.config.now(),
      stopping: this.stopping,
      connections: this.connections
    })
  }

  private showSessions(): string {
    const now = this.config.now()
    let text = ""
    for (const { number, protocol, since, source } of this.sessions) {
      const pointer = `0x${(0x7f00_1000_0000 + number * 0x400).toString(16)}`
      text += `${pointer}: proto=${protocol} src=${source} fe=GLOBAL be=<NONE> srv=<none> ts=00 epoch=0 age=${
        age(now - since)
      } calls=1 rate=0 cpu=0 lat=0 rq[f=848000h,i=0,an=00h,ax=] rp[f=80008000h,i=0,an=00h,ax=] scf=[8,0h,fd=${
        10 + number
      },rex=30s,wex=] scb=[8,1h,fd=-1,rex=,wex=] exp=30s rc=0 c_exp=\n`
    }
    return text
  }

  private refuse(words: ReadonlyArray<string>): Answer {
    const known = helpLines(this.line).find((entry) => commandOf(entry).every((word, index) => words[index] === word))
    if (known === undefined) return message(6, usage(this.line, words))
    this.config.unimitated.push(words.join(" "))
    return message(3, `FakeHaproxy does not imitate '${commandOf(known).join(" ")}'.`)
  }
}

const setSeverity = (output: string | undefined, session: Session): Answer => {
  if (output !== "none" && output !== "number" && output !== "string") {
    return message(3, "one of 'none', 'number', 'string' is a required argument")
  }
  session.severity = output
  return silence
}

/** As `show sess` prints a duration: its largest unit, and the next one when it says more. */
const age = (milliseconds: number): string => {
  const seconds = Math.floor(milliseconds / 1000)
  if (seconds < 60) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  return minutes < 60
    ? `${minutes}m${seconds % 60 === 0 ? "" : `${seconds % 60}s`}`
    : `${Math.floor(minutes / 60)}h${minutes % 60}m`
}
