import { join } from "node:path";
import type { Config } from "./config.ts";
import type { Log } from "./domain/ports.ts";
import { type ConnectOptions, connectEngine } from "./sandbox/connect.ts";
import { createImages } from "./sandbox/images.ts";

/** The engine as the server, and the commands without a server, find it. */
export async function connectAppliance(config: Config, log: Log) {
  const { dataFolder, download } = config;
  const connection = await connectEngine(engineOptions(config, log));
  const { docker, traits } = connection;
  const images = createImages({
    docker,
    traits,
    cacheFolder: join(dataFolder, "cache"),
    path: config.engine.path,
    proxy: download.proxy,
    ...(download.npmRegistry !== undefined && { registryUrl: download.npmRegistry }),
    ...(download.debianMirror !== undefined && { debianMirror: download.debianMirror }),
    ...(download.caFile !== undefined && { caFile: download.caFile }),
  });
  return { connection, images };
}

export function engineOptions({ dataFolder, engine }: Config, log: Log): ConnectOptions {
  return {
    ...(engine.socket !== undefined && { socket: engine.socket }),
    ...(engine.dockerHost !== undefined && { dockerHost: engine.dockerHost }),
    ...(engine.runtimeFolder !== undefined && { runtimeFolder: engine.runtimeFolder }),
    dataFolder,
    path: engine.path,
    log,
  };
}
