"""What viewers ask a presenter, and which topic of the script has to answer; English first, then Mandarin.

Only what holds for every built-in presenter stands here; what one of them knows beside it, its test adds.
"""

from __future__ import annotations

from typing import Final

EVERYDAY: Final = {
    "hello": ["Helloo!", "hey there", "hello everyone", "good evening everybody"],
    "who are you": ["who r u", "yo whats your name?", "so, what's your name then?"],
    "how old are you": ["how old r u", "what's your age?"],
    "where are you from": ["where r u from?", "so where are you from"],
    "are you real": [
        "are u a real person",
        "are you an ai or a human",
        "are you a bot or human?",
        "r u real??",
    ],
    "how are you": ["how are you doing today?", "hows it going"],
    "what can you do": ["so what can you do", "what can i ask you"],
    "when do you stream": ["when are you live?", "how long are you live today"],
    "how much is this": ["how much does this thing cost?", "whats the price of this", "how much is it pls"],
    "is there a discount": ["any discount today?", "do you have any coupons", "got a discount code?"],
    "do you ship abroad": ["how long does the shipping take to Germany", "do you ship to canada"],
    "refund": ["can i return this", "can i get a refund pls", "it doesn't fit"],
    "where is my order": ["where's my order??", "where is my parcel now"],
    "do you have size XL": ["do you have this in size M", "available in XL?"],
    "PayPal": ["paypal?", "do you accept PayPal", "can I pay by credit card?"],
    "what should I buy": ["what do you recommend", "which one would you recommend"],
    "tell me a joke": ["can you tell me a joke please", "know any good jokes?", "tell us a jokke"],
    "you are great": ["you are really great", "I love your channel so much"],
    "you are beautiful": ["you're so beautiful", "u are cute"],
    "sing a song": ["could you sing something for us", "sing us a song!!"],
    "I am sad": ["I'm feeling sad today", "had such a bad day"],
    "I hate waiting": ["i really hate waiting"],
    "you are stupid": ["you're so stupid", "oh shut up", "u suck"],
    "thank you": ["thx", "thanks a lot"],
    "goodbye": ["gotta go, bye!", "good night everyone"],
    "你好": ["你好啊", "大家晚上好", "主播你好"],
    "你是谁": ["你叫什么", "你叫啥名字呀"],
    "你几岁": ["你今年几岁呀", "你多大啦"],
    "你是真人吗": ["你是不是真人", "请问你是真人吗"],
    "你是机器人吗": ["你是不是机器人"],
    "你好吗": ["你最近怎么样啊"],
    "可以问你什么": ["我可以问你什么呢"],
    "几点下播": ["几点下播呀", "今天直播到几点"],
    "多少钱": ["请问这个多少钱啊？", "价格是多少呢"],
    "有优惠吗": ["有没有优惠", "今天有什么优惠吗"],
    "什么时候发货": ["什么时候能发货呢", "包邮吗主播"],
    "可以退货吗": ["可以退货不", "不合适可以退货吗"],
    "我的订单在哪里": ["我的订单呢"],
    "有大码吗": ["有没有大码", "还有现货吗"],
    "可以用微信支付吗": ["可以微信付款吗", "能用支付宝吗"],
    "推荐哪一款": ["推荐一款吧", "推荐买哪一款"],
    "讲个笑话": ["主播 讲个笑话吧", "再讲一个笑话"],
    "你真好看": ["主播你好漂亮啊", "你真的好可爱"],
    "唱首歌": ["会不会唱歌", "唱一首歌吧"],
    "心情不好": ["今天心情不好", "我好难过啊"],
    "谢谢": ["谢谢主播", "非常谢谢你"],
    "再见": ["再见啦", "我先走啦"],
}
"""A topic -> other ways to ask for it.

A topic is named by a way to ask that stands in the script of every presenter; the other ways stand in none.
The line with that topic has to answer them. A topic in Mandarin is answered in Mandarin.
"""

STRANGERS: Final = [
    "what is the capital of France",
    "hello, what is the capital of France?",
    "do you like pizza",
    "explain quantum mechanics",
    "what time is it in Tokyo",
    "I bought a new car",
    "how tall is the Eiffel tower",
    "how old is the universe",
    "do you know Python",
    "what do you think about politics",
    "my sister studies law",
    "write me a poem about cats",
    "i want to go to japan",
    "i want pizza",
    "asdfghjkl",
    "lol",
    "what is",
    "you are",
    "This is bad for my skin?",
    "I hate mondays",
    "this food is boring",
    "the shirt is beautiful",
    "good",
    "ok",
    "no",
    "",
    "?!",
    "法国的首都是哪里",
    "今天天气怎么样",
    "你好，法国的首都是哪里",
    "你会打篮球吗",
    "量子力学是什么",
    "明天几点考试",
    "我买了一辆新车",
    "地球有多重",
    "我想看电影",
    "我想回家",
    "哈哈哈",
]
"""No line of any script has an answer to these: the presenter says so, or passes them on."""

NEGATED: Final = [
    "you are not stupid",
    "you're not boring",
    "do not sing",
    "please don't sing a song",
    "I'm not sad",
    "别唱歌",
    "不要唱歌",
    "你不好看",
]
"""The opposite of a topic, in nearly its words: no line may answer these as if the "not" weren't there."""
