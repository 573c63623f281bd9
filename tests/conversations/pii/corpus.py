"""Made-up texts as customers, agents and tools write them. What must be found is marked `⟦kind|text⟧`, all of it."""

import re
from dataclasses import dataclass

_MARK = re.compile("⟦([a-z_]+)\\|([^⟧]*)⟧")


@dataclass(frozen=True)
class Example:
    text: str
    spans: tuple[tuple[str, int, int], ...]
    region: str = "SG"


def read(marked: str, region: str = "SG") -> Example:
    text, spans, position = "", [], 0
    for mark in _MARK.finditer(marked):
        text += marked[position : mark.start()]
        spans.append((mark[1], len(text), len(text) + len(mark[2])))
        text += mark[2]
        position = mark.end()
    return Example(text + marked[position:], tuple(spans), region)


EMAILS = """
Write to ⟦email|jane.doe@example.com⟧, please.
Is ⟦email|JANE+orders@Mail.Example.CO.UK⟧ still right?
邮箱⟦email|zhang.san@example.cn⟧谢谢
我的邮箱是⟦email|li_si88@qq.example.com⟧，请发到那里。
发给⟦email|wang＠example．com⟧就好
⟦email|zhang@example。cn⟧
请寄到⟦email|a.b@shop.example⟧。谢谢
<⟦email|o'brien@example.org⟧>; "⟦email|x@y.io⟧"
https://shop.example/reset?email=⟦email|jane%40example.com⟧&step=2
两个：⟦email|a@example.com⟧、⟦email|b@example.com⟧
Mail ⟦email|first-last@sub-domain.example.museum⟧.
⟦email|13812345678@example.com⟧ is also my login
"""

PHONES_SG = """
Call me at ⟦phone|9123 4567⟧ thanks
Call me at ⟦phone|91234567⟧.
My number: ⟦phone|8123-4567⟧
电话：⟦phone|９１２３４５６７⟧
电话⟦phone|91234567⟧，谢谢
⟦phone|+65 9123 4567⟧
⟦phone|+6591234567⟧
⟦phone|(+65) 9123-4567⟧ or ⟦phone|(65) 6123 4567⟧
⟦phone|6591234567⟧ on WhatsApp
⟦phone|0065 9123 4567⟧
Office ⟦phone|6123 4567⟧ / mobile ⟦phone|9876 5432⟧
手机⟦phone|13812345678⟧
我的手机是⟦phone|138-1234-5678⟧，或者⟦phone|+86 138 1234 5678⟧
座机⟦phone|010-62345678⟧
⟦phone|13812345678⟧这是我的号码
HK: ⟦phone|+852 5123 4567⟧, or just ⟦phone|5123 4567⟧
Malaysia ⟦phone|012-345 6789⟧, ⟦phone|+60 12-345 6789⟧
US office ⟦phone|(415) 555-2671⟧ or ⟦phone|+1 415 555 2671⟧ or ⟦phone|415-555-2671⟧
UK ⟦phone|+44 (0)20 7946 0958⟧ and ⟦phone|07400 123456⟧
Paris ⟦phone|+33 6 12 34 56 78⟧, Berlin ⟦phone|+49 30 123456⟧
whatsapp ⟦phone|4155552671⟧
⟦phone|6591234567@s.whatsapp.net⟧ joined
Open https://wa.me/⟦phone|6591234567⟧?text=hi
chat id ⟦phone|8613812345678:12@s.whatsapp.net⟧, old form ⟦phone|6591234567@c.us⟧
Phone: ⟦phone|555-123-4567⟧
tel:⟦phone|91234567⟧ HP⟦phone|91234567⟧
order 88231123, call ⟦phone|91234567⟧
About order 1234: ⟦phone|9123 4567⟧
My order is late. ⟦phone|98765432⟧
⟦phone|91234567⟧,⟦phone|98765432⟧
⟦phone|9123 4567⟧/⟦phone|9876 5432⟧
⟦phone|٩١٢٣٤٥٦٧⟧
"""

PHONES_ELSEWHERE = {
    "CN": """
⟦phone|13812345678⟧
⟦phone|021-61234567⟧ 找我
我的电话是⟦phone|91234567⟧
⟦phone|+65 9123 4567⟧
6123456 件
91234567
""",
    "US": """
⟦phone|4155552671⟧
⟦phone|1-415-555-2671⟧
It is ⟦phone|415.555.2671⟧.
91234567
""",
    "MY": """
⟦phone|0123456789⟧
⟦phone|03-2385 6789⟧
""",
    "GB": """
⟦phone|07400123456⟧
⟦phone|020 7946 0958⟧
""",
    "FR": """
⟦phone|06 12 34 56 78⟧
⟦phone|0612345678⟧
""",
}

CARDS = """
信用卡⟦card|4111111111111111⟧
Card ⟦card|4111 1111 1111 1111⟧ exp 12/28 cvv ⟦secret|123⟧
⟦card|5412-1357-9246-8014⟧
Amex ⟦card|3782 135792 46805⟧
Diners ⟦card|3056 135792 4682⟧
卡号：⟦card|６２２５１３５７９２４６８０１９⟧
银联⟦card|6225 8813 5792 4680 130⟧
⟦card|622588 1357924680130⟧
2 ⟦card|4111 1111 1111 1111⟧ 12 28
1234 ⟦card|4111 1111 1111 1111⟧
⟦card|2223135792468010⟧ ⟦card|3530135792468016⟧ ⟦card|6011135792468017⟧
I paid for my order with ⟦card|4111111111111111⟧
"""

IDENTITY = """
新加坡身份证⟦nric|S1234567D⟧
NRIC ⟦nric|s8812345z⟧, her FIN is ⟦nric|G5512345X⟧
⟦nric|T0123456G⟧ ⟦nric|F7654321Q⟧ ⟦nric|M1234567K⟧ ⟦nric|M3344556X⟧
NRIC: ⟦nric|S1234567-D⟧
身份证号⟦cn_id|110101199003070011⟧
我的身份证是⟦cn_id|310105200012314565⟧，请核对
⟦cn_id|440106 19920714 1238⟧
⟦cn_id|１１０１０１１９９００３０７００１１⟧
IBAN ⟦iban|GB82 WEST 1234 5698 7654 32⟧ is mine
⟦iban|DE89370400440532013000⟧
账户⟦iban|FR1420041010050500013M02606⟧。
⟦iban|gb82west12345698765432⟧
"""

ADDRESSES = """
from ⟦ip|203.0.113.7⟧ port 22
登录IP⟦ip|198.51.100.23⟧，请确认
⟦ip|１９２．１６８．０．１⟧
⟦ip|2001:db8::8a2e:370:7334⟧ and ⟦ip|fe80::1⟧ and ⟦ip|::1⟧ and ⟦ip|1:2:3:4:5:6:7:8⟧.
[⟦ip|2001:db8:0:1:1:1:1:1⟧]:443, ⟦ip|::ffff:192.0.2.1⟧
http://⟦ip|10.0.0.1⟧:8000/path
"""

SECRETS = """
key ⟦secret|rmb_ABCDEFGHJKLM_abcdefghijkmnpqrstuvwxyzabcdefghijkmnpqrstuvwxyz1⟧
密钥⟦secret|sk-proj-abcdefghijklmnopqrst12345⟧
AWS ⟦secret|AKIAABCDEFGHIJKLMNOP⟧ aws_secret_access_key = ⟦secret|abcd/efgh+ijklmnopqrstuvwxyz0123456789ABCD⟧
token ⟦secret|ghp_abcdefghijklmnopqrstuvwxyz0123456789⟧
⟦secret|xoxb-123456789012-abcdefghijkl⟧
Authorization: Bearer ⟦secret|abcdefghijklmnop.qrstuvwxyz⟧
⟦secret|eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijklmnop⟧
postgres://⟦secret|app:s3cr3t⟧@db.example/main
https://⟦secret|bob:pa%20ss⟧@host.example/x
password: ⟦secret|hunter2!⟧
Password is ⟦secret|Tr0ub4dor&3⟧.
my pwd = "⟦secret|correct-horse⟧"
密码是⟦secret|Abc12345⟧，别告诉别人
密码：⟦secret|qwerty99⟧
{"password": "⟦secret|hunter2⟧", "user": "bob"}
api_key=⟦secret|abcd1234efgh⟧
login bob password ⟦secret|hunter22⟧
my password for the client portal is ⟦secret|Tr0ub4dor⟧
密码⟦secret|Abc12345⟧
密码is ⟦secret|Abc12345⟧
PIN: ⟦secret|482913⟧
验证码 ⟦secret|482913⟧，5分钟内有效
Your OTP is ⟦secret|482913⟧
bot ⟦secret|1234567890:AAabcdefghijklmnopqrstuvwxyz0123456⟧
"""

CLEAN = """
Hello, is the serum suitable for dry skin? When will it ship?
请问这款精华适合干性皮肤吗？什么时候发货？
I bought 2 bottles on 12 March for $45.90.
Delivery on 20261120, or 2026-11-20 12:30, or 20/11/2026, or 31-12-2026.
2026.11.20 and 11-20-2026 and 20261120123456
订单号91234567
订单编号：98765432，快递单号 SF1234567890123
order no. 91234567 and order number is 98765432
Invoice #91234567 ref 61234567
Order 36123456789012 was shipped
Tracking number: 4111111111111111
ORD-91234567, A91234567, item_91234567
https://shop.example/item/91234567?id=91234567
It costs $ 91234567 or S$91234567 or RM 91234567, 91234567元, 61234567 USD
the file has 91234567 bytes
91234567.50 and 0.91234567 and 91234567%
1234567890123 1763456789012
4111 1111 1111 1112
4111111111111112
S1234567A T0123456A
AS1234567D S12345678D S1234567DX
110101199003070012
990101199013070015
GB82 WEST 1234 5698 7654 33
version 1.2.3.4, firmware 10.0.19.1, v1.2.3.4
版本1.2.3.4
300.1.1.1 and 1.2.3 and 1.2.3.4.5
12:30:45 and std::string and a::b and 10:20
logo@2x.png, @mention, a@b, foo@bar.c, user@localhost
The password is incorrect. Password: required
Forgot your password? password reset
the password is 8-20 characters long
my pin code area, shipping, pins
token count: 4096 tokens=123
secret: bytes = field(repr=False), API key: truncated, secret = secrets.token_urlsafe(32)
password = getpass.getpass() and password reset-link and passwords: two
zip(level[::2], level[1::2]), digits[-2::-2]
0.3047972654 and 6666.6666 and 6 300-7 600
Is this the key? The key is under the mat.
1-2-3-4-5-6-7-8-9
1 2 3 4 5 6 7 8 9 10 11 12
2019 2020 2021 2022
1800 and 999 and 10086
A4 210 x 297 mm, 1920x1080
9123 456
"""


def _lines(block: str, region: str = "SG") -> list[Example]:
    return [read(line, region) for line in block.strip().splitlines()]


EXAMPLES = [
    example
    for block in (EMAILS, PHONES_SG, CARDS, IDENTITY, ADDRESSES, SECRETS, CLEAN)
    for example in _lines(block)
] + [example for region, block in PHONES_ELSEWHERE.items() for example in _lines(block, region)]
