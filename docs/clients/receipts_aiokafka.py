# 跟随本区县的回执,只需 aiokafka。 Follow a district's receipts with aiokafka alone: python receipts_aiokafka.py 330681
import asyncio
import os
import ssl
import sys

from aiokafka import AIOKafkaConsumer


async def main(district: str) -> None:
    options = {"bootstrap_servers": os.environ.get("SKILLPLAN_KAFKA", "127.0.0.1:9092")}
    if user := os.environ.get("SKILLPLAN_KAFKA_USER"):
        options |= {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512", "sasl_plain_username": user}
        options |= {"sasl_plain_password": os.environ["SKILLPLAN_KAFKA_PASSWORD"]}
        options |= {"ssl_context": ssl.create_default_context(cafile=os.environ["SKILLPLAN_KAFKA_CA"])}
    async with AIOKafkaConsumer(f"receipts.{district}", auto_offset_reset="earliest", **options) as consumer:
        async for message in consumer:
            if message.value is not None:
                print(message.value.decode(), flush=True)


asyncio.run(main(sys.argv[1]))
