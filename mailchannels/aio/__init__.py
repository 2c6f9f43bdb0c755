"""The async surface, written by hand: one short method for each operation of the API.

The blocking surface in `sync/` is generated from these files; nothing here knows of it.
"""

from .client import AsyncMailChannels, AsyncMailChannelsClient
from .domains import AsyncDomains
from .lists import AsyncLists
from .service import AsyncService
from .users import AsyncUsers

__all__ = ["AsyncDomains", "AsyncLists", "AsyncMailChannels", "AsyncMailChannelsClient", "AsyncService", "AsyncUsers"]
