"""Are published facts about Newton's method over time reproduced?"""
