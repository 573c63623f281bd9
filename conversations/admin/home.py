"""Home: what needs attention, then recent activity and what is about to end."""

from typing import Any

from conversations.admin import panels
from conversations.admin.cached import read_cached
from conversations.admin.charts import bar_chart, shares
from conversations.admin.pages import Page
from conversations.services.statistics.activity import read_activity
from conversations.staff.rights import Right


class Home(Page):
    title = "Home"
    template_name = "admin/home.html"
    right = None

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        """The charts load in a second request, so that what needs attention shows at once."""
        if "charts" not in self.request.GET or not self.may(Right.READ):
            return super().get_context_data(waiting=panels.attention(self.tenant_id, self.may), **context)
        charts = read_cached("home", self.tenant_id, self._charts)
        return super().get_context_data(**charts.value, read_at=charts.at, **context)

    def _charts(self) -> dict[str, Any]:
        activity = read_activity(self.tenant_id)
        days = [(f"{day:%Y-%m-%d}", count) for day, count in activity.days]
        return {
            "days": bar_chart("Messages of the last 30 days", days),
            "kinds": [
                ("Messages by channel", shares(activity.channels)),
                ("Messages by language", shares(activity.languages)),
            ],
            "home_panels": [
                {"template": panel.template, **panel.read(self.tenant_id)} for panel in panels.home_panels
            ],
        }
