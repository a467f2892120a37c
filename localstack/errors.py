"""What can go wrong here is told to a person who has just typed `make up`."""


class LocalStackError(Exception):
    """A server could not be found, built or started; the message says what to do about it."""


class PortTaken(LocalStackError):
    """Another program listens on a port that was asked for."""

    def __init__(self, port: int, setting: str) -> None:
        super().__init__(f"port {port} is taken by another program: stop it, or set {setting} to a free port")
        self.port = port
        self.setting = setting
