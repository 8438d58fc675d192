import { CcwError } from "../domain/errors.ts";
import type { ForgeApi } from "../domain/forge.ts";
import type { IdSource } from "../domain/ids.ts";
import { nameOf, type PullRequest } from "../domain/pull-request.ts";
import type { Repository } from "../domain/repository.ts";
import type { Person } from "../domain/store/people.ts";
import type { OfferContext } from "./pull-request-offer.ts";

export interface PullRequestContext extends OfferContext {
  /** Undefined for what has no API: a hosted repository, a plain git server. */
  forgeOf(repository: Repository): ForgeApi | undefined;
  ids: IdSource;
}

/** What every event of a pull request says of it. */
export function eventOf({ id, repository, number, title, webUrl }: PullRequest, by: Person | undefined) {
  return { pullRequestId: id, repository, number, title, webUrl, person: by?.name ?? "" };
}

export function onTheForge(pullRequest: PullRequest, verb: string): CcwError {
  return new CcwError(
    "conflict",
    `${nameOf(pullRequest)} is kept by its forge, where its own rules say who may ${verb} it.`,
    pullRequest.webUrl === "" ? "" : `Open ${pullRequest.webUrl}`,
  );
}

export function notConnected({ repository }: PullRequest): CcwError {
  return new CcwError(
    "conflict",
    `The repository ${repository} is not connected to a forge with an API any more.`,
    "`ccw-server repo list` shows the repositories, `ccw-server forge list` the forges.",
  );
}
