"""The blocking form of `aio/__init__.py`, made of it by `python mailchannels/_codegen.py`; not to be edited."""

from .client import MailChannels, MailChannelsClient
from .domains import Domains
from .lists import Lists
from .service import Service
from .users import Users

__all__ = ["Domains", "Lists", "MailChannels", "MailChannelsClient", "Service", "Users"]
