from django.urls import path
from rest_framework import generics, serializers

from benchmarks.stock.models import BareMessage


class BareMessageSerializer(serializers.ModelSerializer):
    class Meta:
        model = BareMessage
        fields = "__all__"


class BareMessages(generics.CreateAPIView):
    queryset = BareMessage.objects.all()
    serializer_class = BareMessageSerializer


urlpatterns = [path("messages", BareMessages.as_view())]
