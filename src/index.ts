/**
 * The library: the control plane as Effect layers, its verbs and their types, for programs that want to operate
 * HAProxy themselves. What is not named here may change without notice. Fakes for tests: `haproxy-mcp/testing`.
 */

// Everything at once: `verb(input).pipe(Effect.provide(controlPlane), Effect.provide(Settings.layer({ env })))`.
export { decodeSettings, Settings, type SettingsShape, type Sources } from "./Config.ts"
export { layer as controlPlane } from "./ControlPlane.ts"
export { layer as mcpOverHttp } from "./McpHttp.ts"
export { run as mcpOverStdio } from "./McpStdio.ts"
export { layer as observability } from "./Observability.ts"
export { version } from "./Version.ts"

// The verbs.
export { connections, listBackends } from "./program/Backends.ts"
export { certInfo, listCerts } from "./program/certificates/CertificateList.ts"
export { deleteCert } from "./program/certificates/Delete.ts"
export { issueCert } from "./program/certificates/Issue.ts"
export { loadCert } from "./program/certificates/Load.ts"
export { renewAllCerts, renewCert } from "./program/certificates/Renew.ts"
export type {
  CertificateItem,
  CertificateStatus,
  CertInfoAnswer,
  CertInfoInput,
  CertWriteAnswer,
  DeleteCertAnswer,
  DeleteCertInput,
  IssueCertInput,
  ListCertsAnswer,
  ListCertsInput,
  LoadCertInput,
  RenewAllCertsAnswer,
  RenewCertInput
} from "./program/certificates/Shapes.ts"
export { checkConfig } from "./program/ConfigCheck.ts"
export type {
  CheckConfigAnswer,
  ReloadAnswer,
  RestoreStateAnswer,
  SaveStateAnswer
} from "./program/ConfigurationShapes.ts"
export { listDomains } from "./program/DomainList.ts"
export { addDomain, cleanupWildcards, removeDomain } from "./program/Domains.ts"
export type {
  AddDomainAnswer,
  AddDomainInput,
  CleanupWildcardsAnswer,
  CleanupWildcardsInput,
  DomainItem,
  ListDomainsAnswer,
  ListDomainsInput,
  RemoveDomainAnswer,
  RemoveDomainInput,
  ServerItem
} from "./program/DomainShapes.ts"
export { waitDrain } from "./program/Drain.ts"
export { exportDomains } from "./program/Export.ts"
export { health, notReadyReason } from "./program/Health.ts"
export type { ComponentStatus, DomainHealthAnswer, DomainHealthInput, HealthAnswer } from "./program/HealthShapes.ts"
export { importDomains } from "./program/Import.ts"
export type { ExportAnswer, ImportAnswer, ImportInput } from "./program/import/Shapes.ts"
export type {
  BackendItem,
  BackendsAnswer,
  BackendsInput,
  ConnectionsAnswer,
  ConnectionsInput,
  FrontendsAnswer,
  ServerHealthAnswer,
  ServerHealthInput,
  StatsAnswer
} from "./program/MonitoringShapes.ts"
export { operation, type OperationAnswer, type OperationInput } from "./program/Operations.ts"
export { reload } from "./program/Reload.ts"
export { restoreState, saveState } from "./program/SavedState.ts"
export { serverHealth } from "./program/ServerHealth.ts"
export { domainHealth, listServers } from "./program/ServerList.ts"
export {
  addServer,
  addServers,
  removeServer,
  setDomainState,
  setServerState,
  setServerWeight
} from "./program/Servers.ts"
export type {
  AddServerAnswer,
  AddServerInput,
  AddServersInput,
  ListServersAnswer,
  ListServersInput,
  RemoveServerInput,
  ServersAnswer,
  ServerStatus,
  ServerTarget,
  SetDomainStateInput,
  SetServerStateInput,
  SetServerWeightInput,
  WaitDrainAnswer,
  WaitDrainInput
} from "./program/ServerShapes.ts"
export { listFrontends, statistics } from "./program/Statistics.ts"

// What the verbs answer, fail with and are told about their caller.
export {
  AcmeFailed,
  Busy,
  Cancelled,
  ConfigInvalid,
  Conflict,
  type ControlError,
  type ErrorBody,
  type ErrorCode,
  Forbidden,
  HaproxyRefused,
  HaproxyUnreachable,
  Internal,
  InvalidInput,
  NotFound,
  OutcomeUnknown,
  PoolExhausted,
  StorageFailed,
  TimedOut,
  toBody
} from "./domain/Errors.ts"
export type { Answer, WriteAnswer } from "./program/Answer.ts"
export { Caller, type CallerShape } from "./program/Caller.ts"

// The services one by one, for other compositions and for doubles in tests.
export { Acme, type AcmeOptions, type AcmeState, type Issued, type RenewalWindow } from "./acme/Acme.ts"
export type { Certificate, CertificateFacts, CertificateSource } from "./domain/Certificate.ts"
export type { Actor, Change, Edit, Outcome, Route } from "./domain/Change.ts"
export type { PoolLimits, PoolNumber, Server, ServerState, SlotNumber, Weight } from "./domain/Pool.ts"
export type { DomainName, RouteName, WildcardName } from "./domain/RouteName.ts"
export type { Capabilities } from "./haproxy/Capabilities.ts"
export type { CertificateBundle } from "./haproxy/certificates/Bundle.ts"
export { CertificateFiles } from "./haproxy/certificates/CertificateFiles.ts"
export type { Command, Refusal, Verdict } from "./haproxy/Command.ts"
export {
  type CheckMessage,
  type CheckReport,
  HostControl,
  type HostOptions,
  noHost,
  type Told,
  type Way
} from "./haproxy/HostControl.ts"
export { type ForeignEntry, MapFiles, type MapFilesOptions } from "./haproxy/MapFiles.ts"
export { type Epoch, LinkLost, type LinkState, RuntimeApi, type RuntimeOptions } from "./haproxy/RuntimeApi.ts"
export { layer as limitsFromSettings } from "./Listeners.ts"
export { Extension, type ExtensionShape, type ExtensionTool } from "./mcp/Extension.ts"
export { HttpListener, type HttpOptions } from "./mcp/Http.ts"
export type { Client } from "./mcp/Server.ts"
export { ToolRunner } from "./mcp/ToolRunner.ts"
export { Certificates, type CertificatesState, type Installed } from "./program/certificates/Certificates.ts"
export { type CertificatesOptions, layer as certificatesLayer } from "./program/certificates/Engine.ts"
export { Limits } from "./program/Limits.ts"
export { Operations } from "./program/Operations.ts"
export { type AllocatorOptions, PoolAllocator } from "./program/PoolAllocator.ts"
export type { ProgramServices } from "./program/Services.ts"
export type { SyncState } from "./program/SyncState.ts"
export { CommitUncertain, Store, type StoreOptions } from "./store/Store.ts"
