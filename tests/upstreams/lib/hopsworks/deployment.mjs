import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/// Users, projects and members of a Hopsworks, with the rules that its admin API has for them.

export const ROLES = ['Data owner', 'Data scientist', 'Observer'];
/// 0 new, 1 verified, 2 active, 3 deactivated, 4 blocked.
const STATUSES = [0, 1, 2, 3, 4];

/// A refusal, as Hopsworks words it.
export class Refused extends Error {
  constructor(status, errorCode, errorMsg) {
    super(errorMsg);
    Object.assign(this, { status, errorCode });
  }
}

export class Deployment {
  #file;
  #data = { users: [], projects: [], nextId: 10_000 };

  /// With a directory the data outlive the program.
  constructor(directory) {
    if (!directory) return;
    mkdirSync(directory, { recursive: true });
    this.#file = join(directory, 'hopsworks.json');
    if (existsSync(this.#file)) this.#data = JSON.parse(readFileSync(this.#file, 'utf8'));
  }

  get users() { return this.#data.users.map((user) => this.userOf(user)); }
  get projects() { return this.#data.projects; }

  userOf(user) {
    const active = this.#data.projects.filter(({ creator }) => creator === user.id).length;
    return { ...user, numActiveProjects: active };
  }
  findUser(id) { return this.#data.users.find((user) => user.id === id); }
  findByEmail(email) {
    return this.#data.users.find((user) => user.email.toLowerCase() === email.toLowerCase());
  }

  addUser({ email, firstname, lastname, maxNumProjects, accountType = 'REMOTE_ACCOUNT_TYPE',
    username, status = 2, ...rest }) {
    if (this.findByEmail(email))
      throw new Refused(409, 160003, 'User with the same email already exists.');
    const id = this.#data.nextId++;
    const local = email.split('@')[0].replace(/[^a-z0-9]/gi, '').slice(0, 5).toLowerCase();
    const user = { id, firstname, lastname, email, username: username ?? `${local}${id}`, accountType,
      twoFactor: false, toursState: 0, status, maxNumProjects,
      activated: new Date().toISOString(), ...rest };
    this.#data.users.push(user);
    return this.#kept(user);
  }

  changeUser(id, change) {
    const user = this.findUser(id);
    if (!user) throw new Refused(404, 160002, 'User not found.');
    if ('status' in change && !STATUSES.includes(change.status))
      throw new Refused(400, 160041, 'Illegal status.');
    if ('maxNumProjects' in change && !Number.isInteger(change.maxNumProjects))
      throw new Refused(400, 160041, 'Illegal maxNumProjects.');
    return this.#kept(Object.assign(user, change));
  }

  addProject({ name, owner }) {
    const creator = this.#data.users.find(({ email, username }) => [email, username].includes(owner));
    if (!creator) throw new Refused(404, 160002, 'User not found.');
    if (this.#data.projects.some((project) => project.name.toLowerCase() === name.toLowerCase()))
      throw new Refused(409, 150001, 'A project with the same name already exists.');
    const project = { id: this.#data.nextId++, name, created: new Date().toISOString(),
      creator: creator.id, members: [{ email: creator.email, role: 'Data owner' }] };
    this.#data.projects.push(project);
    return this.#kept(project);
  }

  removeProject(id) {
    this.#data.projects = this.#data.projects.filter((project) => project.id !== id);
    this.#kept();
  }

  addMember(id, email, role) {
    const project = this.#data.projects.find((each) => each.id === id);
    if (!project) throw new Refused(404, 150004, 'Project not found.');
    if (!ROLES.includes(role)) throw new Refused(400, 150053, 'Illegal role.');
    if (!this.findByEmail(email)) throw new Refused(404, 160002, 'User does not exist.');
    if (project.members.some((member) => member.email === email))
      throw new Refused(400, 150016, 'User is already a member of the project.');
    project.members.push({ email, role });
    return this.#kept(project);
  }

  reset() {
    this.#data = { users: [], projects: [], nextId: 10_000 };
    this.#kept();
  }

  #kept(value) {
    if (this.#file) {
      writeFileSync(`${this.#file}.new`, JSON.stringify(this.#data));
      renameSync(`${this.#file}.new`, this.#file);
    }
    return value;
  }
}
