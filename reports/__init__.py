"""Tables, pictures and pages made from numbers that other packages measured."""

from mubinn.reports.accuracy import measured as measured
from mubinn.reports.content import ReportContent as ReportContent
from mubinn.reports.writer import write_report as write_report
