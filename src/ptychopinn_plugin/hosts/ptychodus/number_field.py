"""A spin box that never changes what is typed into something else without saying so."""

from __future__ import annotations

from ptychodus.api.observer import Observable, Observer
from ptychodus.api.parameters import IntegerParameter, RealParameter
from ptychodus.controller.parameters import ParameterViewController
from PyQt5.QtCore import QSize, pyqtSignal
from PyQt5.QtGui import QValidator
from PyQt5.QtWidgets import QAbstractSpinBox, QToolTip, QWidget

from ptychopinn_plugin.hosts.ptychodus.number_range import NumberRange

SHOWN_CHARACTERS = 14


class NumberField(QAbstractSpinBox):
    """A number with arrows.

    Any text can be typed. A number of the range is taken at once. When the text is finished, one
    that lies outside is replaced by the nearest number of the range, and one that is no number by
    the number before it was typed; a tool tip then names both.

    Attributes:
        number_changed: emitted with the new number.

    Args:
        limits: the range.
        number: at the start.
    """

    number_changed = pyqtSignal(object)

    def __init__(self, limits: NumberRange, number: float) -> None:
        super().__init__()
        self._limits = limits
        self._number = self._before = number
        self._zero = ''
        self.setAccelerated(True)
        edit = self.lineEdit()
        assert edit is not None
        self._edit = edit
        edit.textEdited.connect(self._take)
        self.editingFinished.connect(self._finish)
        self._show()

    @property
    def number(self) -> float:
        """The number that is used."""
        return self._number

    def set_number(self, number: float) -> None:
        """Show a number that was set elsewhere; what is being typed for the same one stays."""
        typed = self._limits.read(self._edit.text())
        if number != self._number or (typed is not None and typed != number):
            self._number = self._before = number
            self._show()

    def set_zero(self, text: str) -> None:
        """Set what is shown in place of 0, '' for 0 itself."""
        if text != self._zero:
            self._zero = text
            self._show()

    def validate(self, text: str | None, position: int) -> tuple[QValidator.State, str, int]:
        """Accept every text: none of its characters is dropped."""
        return QValidator.State.Acceptable, text or '', position

    def stepEnabled(self) -> QAbstractSpinBox.StepEnabled:  # noqa: N802  (Qt's name)
        """Return which arrows do something."""
        flags = QAbstractSpinBox.StepEnabledFlag
        possible = QAbstractSpinBox.StepEnabled(flags.StepNone)
        for count, flag in ((1, flags.StepUpEnabled), (-1, flags.StepDownEnabled)):
            if self._limits.step(self._number, count) != self._number:
                possible |= flag
        return possible

    def stepBy(self, count: int) -> None:  # noqa: N802  (Qt's name)
        """Change the number by some steps."""
        self._set(self._limits.step(self._number, count))
        self._before = self._number
        self._show()

    def sizeHint(self) -> QSize:  # noqa: N802  (Qt's name)
        """Return the size of a number of usual length, whatever the range."""
        width = SHOWN_CHARACTERS * self.fontMetrics().averageCharWidth()
        return QSize(width, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802  (Qt's name)
        """Return the same size."""
        return self.sizeHint()

    def _set(self, number: float) -> None:
        if number != self._number:
            self._number = number
            self.number_changed.emit(number)

    def _take(self, text: str) -> None:
        """Take a number of the range while it is typed."""
        typed = self._limits.read(text)
        if typed is not None and self._limits.contains(typed):
            self._set(typed)

    def _finish(self) -> None:
        """Replace a text that is no number of the range, and say so."""
        text = self._edit.text()
        typed = 0 if self._zero and text == self._zero else self._limits.read(text)
        nearest = None if typed is None else self._limits.nearest(typed)
        self._set(self._before if nearest is None else nearest)
        self._before = self._number
        in_range = typed is not None and self._limits.contains(typed)
        if not in_range and text:
            shown = self._limits.write(self._number)
            corner = self.mapToGlobal(self.rect().bottomLeft())
            sentence = f'{text} is not {self._limits.describe()}; {shown} is used'
            QToolTip.showText(corner, sentence, self)
        self._show()

    def _show(self) -> None:
        is_named = self._zero and self._number == 0
        text = self._zero if is_named else self._limits.write(self._number)
        if text != self._edit.text():
            self._edit.setText(text)
        self.update()  # the arrows, one of which may be disabled now


class NumberViewController(ParameterViewController, Observer):
    """A number field for a parameter.

    Args:
        parameter: holds the number.
        limits: its range.
    """

    def __init__(self, parameter: IntegerParameter | RealParameter, limits: NumberRange) -> None:
        super().__init__()
        self._parameter = parameter
        self._widget = NumberField(limits, parameter.get_value())
        self._widget.number_changed.connect(parameter.set_value)
        parameter.add_observer(self)

    def get_widget(self) -> QWidget:
        """Return the number field."""
        return self._widget

    def _update(self, observable: Observable) -> None:
        if observable is self._parameter:
            self._widget.set_number(self._parameter.get_value())
