"""The memory behind the HybridBox API: accounts, their mail domains, mailboxes and aliases.

It knows nothing of HTTP but status numbers, and nothing of the Inbound API; what is refused is raised as `Problem`.
"""

import re
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from .checks import InvalidName, Json, Refused, canonical_name

DEMO_ACCOUNT = "00000000-0000-4000-8000-000000000001"
DEMO_TOKEN = "demo-token"  # noqa: S105 - anybody may know it

QUOTA = 10 * 1024**3  # bytes
_LOCAL_PART = re.compile(r"(?!.{65})[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_MAX_PERSON = 255  # characters of a first or last name


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


class Problem(Refused):
    """What was asked is refused; in this API the code of an answer, and of an item, is a word."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, message)
        self.code = code

    def body(self) -> Json:
        """Spell the body of an error answer."""
        return {"code": self.code, "message": self.message}


@dataclass(slots=True, eq=False)
class Mailbox:
    """A mailbox of a mail domain, as the API answers it; `aliases` maps each alias to whether it is a catch-all."""

    domain: "MailDomain"
    local_part: str
    first_name: str
    last_name: str
    status: str = "active"
    workspace_id: str | None = None
    workspace_name: str | None = None
    aliases: dict[str, bool] = field(default_factory=dict)
    id: str = field(default_factory=lambda: str(uuid4()))
    created_at: str = field(default_factory=_now)
    updated_at: str = field(default_factory=_now)

    @property
    def primary_email(self) -> str:
        """The address, in lower case."""
        return f"{self.local_part}@{self.domain.name}"

    def as_json(self) -> Json:
        """Spell the mailbox as the API does."""
        return {
            "id": self.id,
            "domain_id": self.domain.id,
            "domain_name": self.domain.name,
            "local_part": self.local_part,
            "primary_email": self.primary_email,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "status": self.status,
            "quota": {"allowed": QUOTA, "used": 0},
            "aliases": [{"alias": alias, "is_catch_all": catches} for alias, catches in self.aliases.items()],
            "workspace_id": self.workspace_id,
            "workspace_name": self.workspace_name,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }

    def update(self, first_name: str | None, last_name: str | None) -> None:
        """Change the names that are given."""
        self.first_name, self.last_name = _persons(
            self.first_name if first_name is None else first_name,
            self.last_name if last_name is None else last_name,
        )
        self.updated_at = _now()


@dataclass(slots=True, eq=False)
class MailDomain:
    """A domain that mailboxes stand in; it belongs to the account that used its name first."""

    name: str
    account: "Account"
    mailboxes: list[Mailbox] = field(default_factory=list)
    id: str = field(default_factory=lambda: str(uuid4()))


@dataclass(slots=True, eq=False)
class Account:
    """An account with the tokens that open it and its mailboxes, in order of creation."""

    id: str
    tokens: set[str]
    mailboxes: list[Mailbox] = field(default_factory=list)


class HybridBox:
    """Everything the HybridBox side remembers; it starts with one account, whose token is `demo-token`.

    `failures` maps a local part to the code with which every attempt to create it fails, for as long as it is there.

    Example:
        >>> hybridbox = HybridBox(threading.RLock())
        >>> hybridbox.failures["alice"] = "quota_exceeded"
    """

    def __init__(self, lock: threading.RLock) -> None:
        self.failures: dict[str, str] = {}
        self._lock = lock
        self._accounts: dict[str, Account] = {}
        self._domains: dict[str, MailDomain] = {}  # by name and by id
        self._mailboxes: dict[str, Mailbox] = {}  # by primary address and by id
        self._aliases: set[str] = set()
        self.add_account(DEMO_ACCOUNT, DEMO_TOKEN)

    # For tests: arrange and look.

    def add_account(self, account_id: str, *tokens: str) -> Account:
        """Add an account that these tokens open."""
        with self._lock:
            account = self._accounts[account_id] = Account(account_id, set(tokens))
            return account

    def mailbox(self, key: str) -> Mailbox | None:
        """Find a mailbox by its id or primary address, or None."""
        with self._lock:
            return self._mailboxes.get(key.lower())

    def mailbox_count(self) -> int:
        """How many mailboxes there are, those of all accounts together."""
        with self._lock:
            return len(self._mailboxes) // 2

    # For the handlers: what the API does.

    def account(self, account_id: str, token: str) -> Account:
        """Find the account that the token opens; 401 for a token of none, 404 for no such account, 403 for another."""
        if not any(token in account.tokens for account in self._accounts.values()):
            raise Problem(401, "unauthorized", "the token is missing or not valid")
        account = self._accounts.get(account_id.lower())
        if account is None:
            raise Problem(404, "not_found", "there is no such account")
        if token not in account.tokens:
            raise Problem(403, "forbidden", "the token is for another account")
        return account

    def domain(self, account: Account, key: str) -> MailDomain:
        """Find a mail domain by its id or name; a name that nobody has used yet is the account's from now on."""
        try:
            name = canonical_name(key)
        except InvalidName as refusal:
            raise Problem(422, "invalid_domain", refusal.message) from None
        domain = self._domains.get(name)
        if domain is None:
            if "." not in name:
                raise Problem(404, "domain_not_found", "there is no domain of this id")
            domain = MailDomain(name, account)
            self._domains[domain.id] = self._domains[name] = domain
        if domain.account is not account:
            raise Problem(403, "domain_not_yours", f"{domain.name} belongs to another account")
        return domain

    def create(self, domain: MailDomain, local_part: str, first_name: str, last_name: str) -> Mailbox:
        """Create a mailbox; 409 when the address is in use, 422 when a part of it is not valid or a test says so."""
        name = _local_part(local_part)
        first_name, last_name = _persons(first_name, last_name)
        code = self.failures.get(name)
        if code is not None:
            raise Problem(422, code, f"{name} could not be created")
        self._check_free(f"{name}@{domain.name}")
        mailbox = Mailbox(domain, name, first_name, last_name)
        self._mailboxes[mailbox.id] = self._mailboxes[mailbox.primary_email] = mailbox
        domain.mailboxes.append(mailbox)
        domain.account.mailboxes.append(mailbox)
        return mailbox

    def own_mailbox(self, account: Account, key: str) -> Mailbox:
        """Find an account's mailbox by its id or primary address; 404 when there is none."""
        mailbox = self._mailboxes.get(key.lower())
        if mailbox is None or mailbox.domain.account is not account:
            raise Problem(404, "not_found", "there is no such mailbox")
        return mailbox

    def own_mailboxes(self, account: Account, domain: str | None) -> list[Mailbox]:
        """List an account's mailboxes, those of one domain if its id or name is given, oldest first."""
        if domain is None:
            return account.mailboxes
        try:
            found = self._domains.get(canonical_name(domain))
        except InvalidName:
            found = None
        return found.mailboxes if found is not None and found.account is account else []

    def add_alias(self, mailbox: Mailbox, alias: str, *, is_catch_all: bool) -> None:
        """Give a mailbox one more alias, an address of its domain or a local part; 409 when the address is in use."""
        local_part, _, host = alias.rpartition("@")
        if not local_part:
            local_part, host = alias, mailbox.domain.name
        address = f"{_local_part(local_part)}@{host.lower()}"
        if host.lower() != mailbox.domain.name:
            raise Problem(422, "invalid_alias", f"an alias of this mailbox is an address in {mailbox.domain.name}")
        self._check_free(address)
        self._aliases.add(address)
        mailbox.aliases[alias] = is_catch_all
        mailbox.updated_at = _now()

    def _check_free(self, address: str) -> None:
        if address in self._mailboxes or address in self._aliases:
            raise Problem(409, "already_exists", f"{address} is in use already")


def _local_part(text: str) -> str:
    lowered = text.lower()
    if not _LOCAL_PART.fullmatch(lowered):
        raise Problem(422, "invalid_local_part", f"{text[:64]!r} is not a valid local part")
    return lowered


def _persons(*names: str) -> tuple[str, ...]:
    for name in names:
        if not name.strip() or len(name) > _MAX_PERSON:
            raise Problem(422, "invalid_name", f"first and last names have 1 to {_MAX_PERSON} characters")
    return names
