/**
 * `haproxy-mcp/testing`: what you need to test your own layers against HAProxy's Runtime API without HAProxy.
 */
export { type Backends, declarePools, type MapFiles, mapFilesOnDisk, parseBackends } from "./testing/Declared.ts"
export { type FakeEpoch, FakeHaproxy, type FakeHaproxyOptions, type FakeHaproxyShape } from "./testing/FakeHaproxy.ts"
export { type CommandPattern, Fault, type FaultOptions, type InjectedFault } from "./testing/Fault.ts"
export type { FakeAddress, ListenOn, ReceivedCommand } from "./testing/Host.ts"
export type { Line, Traits } from "./testing/Line.ts"
export type { ServerConfig, ServerState } from "./testing/Servers.ts"
