"""Answers about maintenance: the switches that stop pushes and pops."""

from __future__ import annotations

from pydantic import Field

from queen.server.describe import Shape

_NO_SPOOL = "Messages in the local spool; this version has none, so always 0."


class FailedFiles(Shape):
    """What the spool could not store."""

    count: int = Field(examples=[0])
    totalBytes: int = Field(examples=[0])
    totalMB: float = Field(examples=[0])
    failoverCount: int = Field(examples=[0])
    qos0Count: int = Field(examples=[0])


class BufferStats(Shape):
    """The local spool."""

    pendingCount: int = Field(description=_NO_SPOOL, examples=[0])
    failedCount: int = Field(examples=[0])
    dbHealthy: bool = Field(description="The database has answered this very request.", examples=[True])
    failedFiles: FailedFiles


class Maintenance(Shape):
    """How both switches stand, read in the database."""

    maintenanceMode: bool = Field(description="Pushes go to the local spool; this version cannot, so always false.")
    popMaintenanceMode: bool = Field(description="Every pop answers 204.", examples=[False])
    bufferedMessages: int = Field(description=_NO_SPOOL, examples=[0])
    bufferHealthy: bool = Field(examples=[True])
    bufferStats: BufferStats


class MaintenanceTurned(Shape):
    """After the switch of pushes was turned."""

    maintenanceMode: bool = Field(examples=[False])
    bufferedMessages: int = Field(description=_NO_SPOOL, examples=[0])
    bufferHealthy: bool = Field(examples=[True])
    message: str = Field(examples=["Maintenance mode DISABLED. Background processor will drain buffer to DB."])


class PopMaintenance(Shape):
    """How the switch of pops stands."""

    popMaintenanceMode: bool = Field(description="Every pop answers 204.", examples=[True])
    message: str = Field(examples=["Pop maintenance mode ENABLED. All POPs answer 204."])
