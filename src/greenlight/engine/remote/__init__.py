"""How is a model asked that runs elsewhere? Through the chat API that most servers speak, read strictly."""

from greenlight.engine.remote.address import Address
from greenlight.engine.remote.answerer import RemoteAnswerer
from greenlight.engine.remote.client import Client, Patience
from greenlight.engine.remote.model import RemoteModel

__all__ = ["Address", "Client", "Patience", "RemoteAnswerer", "RemoteModel"]
