"""What one side of the comparison made stands for what the other side made."""
from lib.interface import METHODS


class Mapping:
    """Generated values of the left side -> those of the right; one to one."""

    def __init__(self):
        self.right_of, self.left_of = {}, {}

    def settle_ties(self, method, params, left, right):
        """Goals and insights made within one microsecond stand in the order of their ids, which
        each side makes by itself: such lists are compared in the order of the ids that belong
        together. (Their promised order is tested by itself.)
        """
        if (
            method not in ("get_user_goals", "get_user_insights")
            or "result" not in left
            or "result" not in right
        ):
            return left, right
        named = params if isinstance(params, dict) else dict(zip(METHODS[method][0], params))
        if named.get("after") is not None:
            return "a page", "a page"  # it may begin within a tie
        if len(left["result"]) != len(right["result"]) or len(left["result"]) in (1, 3, 50):
            return len(left["result"]), len(right["result"])  # maybe cut by the limit, within a tie
        return (
            {
                **left,
                "result": sorted(left["result"], key=lambda one: self.right_of.get(one["id"], "")),
            },
            {**right, "result": sorted(right["result"], key=lambda one: one["id"])},
        )

    def fits(self, left, right):
        if (
            self.right_of.setdefault(left, right) != right
            or self.left_of.setdefault(right, left) != left
        ):
            return False
        return True
