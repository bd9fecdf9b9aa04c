import httpx
import pytest

from lattice_client.httpx import LatticeAuth


def test_an_order_is_taken(shop, frontend):
    response = frontend.post(f"{shop.url_for('orders')}/orders/espresso")

    assert (response.status_code, response.json()) == (201, {"ordered": "espresso"})
    shop.access.of("orders").by("orders-frontend").allowed().once()
    shop.access.of("stock").by("orders").to("/stock/espresso").answered(200).once()


def test_what_is_sold_out_is_not_sold(shop, frontend):
    assert frontend.post(f"{shop.url_for('orders')}/orders/ristretto").status_code == 409


def test_the_frontend_may_not_look_into_the_stock(shop, frontend):
    assert frontend.get(f"{shop.url_for('stock')}/stock/espresso").status_code == 403

    shop.access.of("stock").by("orders-frontend").denied_by("Service")


def test_nobody_orders_without_a_signature(shop):
    assert httpx.post(f"{shop.url_for('orders')}/orders/espresso").status_code == 403

    shop.access.of("orders").by(None).denied_by("Service")
    shop.access.of("stock").never()


@pytest.mark.parametrize("stage", ["before head", "mid head"])
def test_a_connection_to_the_stock_that_breaks_costs_no_order(shop, frontend, stage):
    with shop.faults.reset(stage, service="stock", times=1):
        assert frontend.post(f"{shop.url_for('orders')}/orders/espresso").status_code == 201

    shop.access.of("stock").times(2)


@pytest.mark.anyio
async def test_a_stock_that_fails_twice_costs_no_order(shop_async):
    caller = shop_async.caller("orders-frontend")
    auth = LatticeAuth(region="us-west-2", credentials=caller.credentials)
    with shop_async.faults.status(503, service="stock", times=2):
        async with httpx.AsyncClient(auth=auth) as client:
            response = await client.post(f"{shop_async.url_for('orders')}/orders/espresso")

    assert response.status_code == 201
    shop_async.access.of("stock").by("orders").times(3)
